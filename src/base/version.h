/* version.h - which program this is.   Layer 0. */
#ifndef PS_BASE_VERSION_H
#define PS_BASE_VERSION_H

/* ps_version returns the release, such as "0.1.0". */
const char *ps_version(void);
/* ps_version_revision returns the git revision of the build, with "-dirty" when the tree differed,
 * or "unknown" when it was built outside git. */
const char *ps_version_revision(void);

#endif
