/* What the tests ask of a page from within it. The text of this function runs there. */
export function inside() {
	window.perseusTest = (function () {
		function all(selector) {
			return Array.from(document.querySelectorAll(selector));
		}

		function visible(e) {
			const box = e.getBoundingClientRect(), style = getComputedStyle(e);
			return box.width > 0 && box.height > 0 && style.visibility !== 'hidden' && e.checkVisibility();
		}

		function nameOf(e) {
			const label = e.labels && e.labels.length ? e.labels[0].textContent : '';
			return (e.getAttribute('aria-label') || label || e.textContent || '').trim();
		}

		function idOf(e) {
			const drawing = e.tagName === 'SUMMARY' && e.closest('figure');
			if (drawing)
				return 'the table of ' + drawing.querySelector('canvas').id;
			return e.id || e.dataset.csv || e.tagName + ':' + nameOf(e).slice(0, 40) + ':' + (e.value || '') +
				all(e.tagName).indexOf(e);
		}

		/* ---- structure ---- */

		function headings() {
			let last = 0;
			return all('h1, h2, h3, h4').filter(function (h) {
				const level = Number(h.tagName[1]), skips = level > last + 1;
				last = level;
				return skips;
			}).map(function (h) { return h.textContent; });
		}

		function doubled() {
			const ids = all('[id]').map(function (e) { return e.id; });
			return ids.filter(function (id, i) { return ids.indexOf(id) !== i; });
		}

		function unless(ok, what) {
			return ok ? [] : [what];
		}

		function structure() {
			return {
				'landmarks': ['header', 'nav', 'main', 'footer'].filter(function (n) { return all('body > ' + n).length !== 1; }),
				'one heading of the first level': unless(all('h1').length === 1, String(all('h1').length)),
				'headings step by one': headings(),
				'sections have headings': all('main > section').filter(function (s) { return !s.querySelector('h2'); }).map(idOf),
				'tables have captions and heads': all('table').filter(function (t) {
					return !t.caption || !t.caption.textContent || !t.querySelector('thead th[scope=col]') || !t.querySelector('tbody th[scope=row]');
				}).map(function (t) { return t.innerText.slice(0, 40); }),
				'drawings are named images': all('canvas').filter(function (c) {
					return c.getAttribute('role') !== 'img' || (c.getAttribute('aria-label') || '').length < 20;
				}).map(idOf),
				'figures are labelled': all('figure').filter(function (f) {
					const l = document.getElementById(f.getAttribute('aria-labelledby'));
					return !l || !l.textContent;
				}).map(idOf),
				'controls are labelled': all('input, select, button, a, summary').filter(function (e) { return !nameOf(e); }).map(idOf),
				'ids are unique': doubled(),
				'has a language and a title': unless(document.documentElement.lang === 'en' && document.title.length > 10, document.title),
				'no empty section': all('main > section').filter(function (s) { return s.innerText.trim().length < 10; }).map(idOf),
				'labels do not overlap': overlaps(),
			};
		}

		/* Text boxes of a drawing's ticks that lie on one another. */
		function overlaps() {
			const bad = [];
			perseus.figures.all.forEach(function (f) {
				Object.values(f.chart.scales).forEach(function (s) {
					const g = f.chart.ctx, horizontal = s.isHorizontal();
					const boxes = s.ticks.map(function (t, i) {
						const lines = Array.isArray(t.label) ? t.label : [String(t.label || '')], at = s.getPixelForTick(i);
						const size = horizontal ? Math.max.apply(null, lines.map(function (l) { return g.measureText(l).width; })) : 12 * lines.length;
						return {from: at - size / 2, to: at + size / 2, text: lines.join(' ')};
					}).filter(function (b) { return b.text !== ''; }).sort(function (a, b) { return a.from - b.from; });
					for (let i = 1; i < boxes.length; i++)
						if (boxes[i].from < boxes[i - 1].to - 1)
							bad.push(f.id + ': "' + boxes[i - 1].text + '" and "' + boxes[i].text + '"');
				});
			});
			return bad;
		}

		/* Ticks of a vertical axis that need more room than it has. */
		function cut() {
			const bad = [];
			perseus.figures.all.forEach(function (f) {
				Object.values(f.chart.scales).filter(function (s) { return !s.isHorizontal(); }).forEach(function (s) {
					const g = f.chart.ctx;
					g.font = '12px ' + Chart.defaults.font.family;
					s.ticks.forEach(function (t) {
						(Array.isArray(t.label) ? t.label : [String(t.label || '')]).forEach(function (l) {
							if (g.measureText(l).width > s.width)
								bad.push(f.id + ': "' + l + '"');
						});
					});
				});
			});
			return bad;
		}

		/* Drawings that stick out of their figures; `wide`: as if they had been made for so wide a window. */
		function sticking(wide) {
			return perseus.figures.all.filter(function (f) {
				f.canvas.style.width = wide + 'px';
				f.canvas.style.height = '900px';
				const box = f.holder.getBoundingClientRect(), c = f.canvas.getBoundingClientRect();
				return box.width > 0 && (c.right > box.right + 1 || c.bottom > box.bottom + 1);
			}).map(function (f) { return f.id; });
		}

		function blank() {
			const canvases = all('canvas');
			return {canvases: canvases.length, blank: canvases.filter(function (c) {
				const pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
				const colours = new Set();
				for (let i = 0; i < pixels.length; i += 4)
					if (pixels[i + 3] > 0)
						colours.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
				return colours.size < 10;
			}).map(idOf)};
		}

		function deadLinks() {
			const links = all('a[href]');
			return {links: links.length, dead: links.map(function (a) { return a.getAttribute('href'); }).filter(function (h) {
				return !h.startsWith('#') || !document.getElementById(h.slice(1));
			})};
		}

		/* ---- contrast, by WCAG 2 ---- */

		/* As red, green, blue, alpha, whatever form the style has. */
		const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});

		function rgba(text) {
			pen.clearRect(0, 0, 1, 1);
			pen.fillStyle = text;
			pen.fillRect(0, 0, 1, 1);
			const d = pen.getImageData(0, 0, 1, 1).data;
			return [d[0], d[1], d[2], d[3] / 255];
		}

		function light(c) {
			const parts = c.slice(0, 3).map(function (v) {
				const x = v / 255;
				return x <= 0.03928 ? x / 12.92 : Math.pow((x + 0.055) / 1.055, 2.4);
			});
			return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
		}

		function background(e) {
			for (let at = e; at; at = at.parentElement) {
				const c = rgba(getComputedStyle(at).backgroundColor);
				if (c[3] > 0.99)
					return c;
			}
			return [255, 255, 255, 1];
		}

		function luminance(e) {
			return light(background(e));
		}

		function faint() {
			const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), bad = [];
			for (let n = walker.nextNode(); n; n = walker.nextNode()) {
				const e = n.parentElement;
				if (!n.textContent.trim() || !visible(e) || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(e.tagName) || e.closest('.away, .skip'))
					continue;
				const style = getComputedStyle(e), a = light(rgba(style.color)), b = light(background(e));
				const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
				const large = parseFloat(style.fontSize) >= 24;
				if (ratio < (large ? 3 : 4.5))
					bad.push(n.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
			}
			return bad;
		}

		/* ---- keyboard ---- */

		function stops() {
			/* of the radio buttons one is a stop */
			return all('a[href], button, input, select, summary').filter(function (e) {
				return visible(e) && (e.type !== 'radio' || e.checked);
			}).map(idOf);
		}

		function focused() {
			const e = document.activeElement;
			if (!e || e === document.body)
				return null;
			const marked = e.type === 'radio' ? e.nextElementSibling : e, style = getComputedStyle(marked);
			return {id: idOf(e), name: nameOf(e), shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2};
		}

		/* ---- figures ---- */

		function figure(id) {
			return perseus.figures.all.find(function (f) { return f.id === id; });
		}

		function rowsOf(id) {
			return figure(id).rows().length;
		}

		function rowsText(id) {
			return JSON.stringify(figure(id).rows());
		}

		function breakEven(c) {
			const types = [{usdPerHour: c.usdPerHour, capacity: c.alone[0]}, {usdPerHour: 3 * c.usdPerHour, capacity: c.alone[1]}];
			const found = perseus.money.breakEven(types, c.results.upTo, c.widening2);
			const add = function (f) { return found.reduce(function (s, x, i) { return s + f(x, i); }, 0); };
			const all = found.every(function (x) { return x.rate.low !== null; });
			return {upTo: c.results.upTo, crossings: found.length, sure: add(function (x) { return x.sure ? 1 : 0; }),
				then: add(function (x, i) { return (i + 1) * x.then; }),
				crossingSum: {value: add(function (x) { return x.rate.value; }), low: all ? add(function (x) { return x.rate.low; }) : null,
					high: all ? add(function (x) { return x.rate.high; }) : null},
				stairs: perseus.money.stairsAt(types[0], c.results.upTo / 2.7)};
		}

		function formulas(c) {
			const money = perseus.money, share = money.shareOnRay(c.rates, c.ray, c.alone, c.scale);
			const m = money.machineSaving(c.rates, c.alone, share, c.held, c.usdPerHour, c.widening);
			return Object.assign(m, breakEven(c), {
				shareOnRay: share,
				shareApart: money.shareApart(c.rates, c.alone),
				fluidSaving: money.fluidSaving(c.rates, c.alone, share),
				fullLoadSaving: money.fullLoadSaving(c.ray, c.alone, c.scale),
				usdPerMillion: money.usdPerMillion(c.usdPerHour, c.alone[0]),
			});
		}

		/* ---- which controls were used ---- */

		['input', 'change', 'click'].forEach(function (kind) {
			document.addEventListener(kind, function (e) {
				const control = e.target.closest && e.target.closest('input, select, button, summary');
				if (control)
					perseusUse(idOf(control));
			}, true);
		});

		function controls() {
			return all('input, select, button, summary').filter(function (e) {
				return visible(e) || e.type === 'radio';
			}).map(idOf);
		}

		return {controls: controls, cut: cut, sticking: sticking, structure: structure, blank: blank, deadLinks: deadLinks, faint: faint, luminance: luminance, stops: stops,
			focused: focused, rowsOf: rowsOf, rowsText: rowsText, formulas: formulas};
	})();
}
