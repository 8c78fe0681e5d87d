# Writes revision.h when, and only when, the version or the git revision changed.
execute_process(COMMAND git -C ${SRC} describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE rev ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE rc)
if(NOT rc EQUAL 0 OR rev STREQUAL "")
  set(rev "unknown")
endif()
set(text "#define PS_VERSION \"${VERSION}\"\n#define PS_REVISION \"${rev}\"\n")
set(old "")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUT} "${text}")
endif()
