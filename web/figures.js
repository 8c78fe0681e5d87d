'use strict';
/* Figures: a caption, a drawing, the same numbers as a table, and as a CSV file. What is drawn, the
 * table and the file come from the same rows. */
perseus.figures = (function () {
	const data = JSON.parse(document.getElementById('data').textContent, withOpenEnds);
	const all = [];

	/* JSON has no infinity: an end that no measurement bounds is null there, and named open; so is a
	 * value beyond any number, such as the slowdown of who was never answered. */
	function withOpenEnds(key, v) {
		if (v !== null && typeof v === 'object') {
			if (v.infinite && v.value === null)
				v.value = Infinity;
			if (v.open_low && v.low === null)
				v.low = -Infinity;
			if (v.open_high && v.high === null)
				v.high = Infinity;
		}
		return v;
	}

	function css(name) {
		return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	}

	function colour(i) {
		return css('--c' + (i % 6));
	}

	function fade(hex, alpha) {
		return hex + Math.round(alpha * 255).toString(16).padStart(2, '0');
	}

	function short(v) {
		if (v === null || v === undefined || Number.isNaN(v))
			return '-';
		if (!isFinite(v))
			return v > 0 ? 'infinite' : '-infinite';
		const a = Math.abs(v);
		if (v === Math.round(v) && a < 1e6)
			return v.toFixed(0);
		if (a >= 99.95)
			return v.toFixed(0);
		return a >= 9.995 ? v.toFixed(1) : a >= 0.0995 ? v.toFixed(2) : String(Number(v.toPrecision(3)));
	}

	function end(v) {
		return isFinite(v) ? short(v) : 'open';
	}

	/* "12.3 [11.0, 13.5]" */
	function withInterval(i, unit) {
		let text = short(i.value) + (unit && i.value !== null ? ' ' + unit : '');
		if (i.low !== null && i.low !== undefined && i.high !== null)
			text += ' [' + end(i.low) + ', ' + end(i.high) + ']';
		return text;
	}

	/* In per cent with one decimal, and never "-0.0". No measurement shows that all is saved: that end
	 * is open. */
	function percent(i) {
		const one = function (v) { return (Math.round(1000 * v) / 10 + 0).toFixed(1); };
		if (i.value === null || Number.isNaN(i.value))
			return '-';
		if (!isFinite(i.value))
			return i.value > 0 ? 'infinite' : '-infinite';
		return one(i.value) + ' %' + (i.low === null || i.low === undefined ? '' :
			' [' + (isFinite(i.low) ? one(i.low) : 'open') + ', ' + (i.high < 1 ? one(i.high) : 'open') + ']');
	}

	function element(name, properties, children) {
		const e = document.createElement(name);
		Object.entries(properties || {}).forEach(function (p) {
			if (p[0] === 'text')
				e.textContent = p[1];
			else
				e.setAttribute(p[0], p[1]);
		});
		(children || []).forEach(function (c) { e.append(c); });
		return e;
	}

	/* ---- CSV ---- */

	/* RFC 4180; a text that a spreadsheet would run as a formula gets an apostrophe in front. */
	function csvCell(v) {
		if (v === null || v === undefined || Number.isNaN(v))
			return '';
		if (typeof v === 'number')
			return isFinite(v) ? String(v) : v > 0 ? 'inf' : '-inf';
		const text = String(v);
		return '"' + (/^[=+\-@\t\r]/.test(text) ? "'" : '') + text.replace(/"/g, '""') + '"';
	}

	function csv(columns, rows) {
		return [columns.map(function (c) { return c.key; })].concat(rows.map(function (r) {
			return r.map(csvCell);
		})).map(function (r) { return r.join(',') + '\r\n'; }).join('');
	}

	function download(name, text) {
		const url = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
		const a = element('a', {href: url, download: name});
		document.body.append(a);
		a.click();
		a.remove();
		setTimeout(function () { URL.revokeObjectURL(url); }, 60000);
	}

	/* A button that saves what `rows` returns at that moment. */
	function csvButton(id, what, columns, rows, text) {
		const b = element('button', {type: 'button', class: 'csv', 'data-csv': id,
			'aria-label': 'Download CSV: ' + what, text: text || 'CSV'});
		b.addEventListener('click', function () { download(id + '.csv', csv(columns, rows())); });
		return b;
	}

	/* ---- tables ---- */

	function cellText(v) {
		return typeof v === 'number' || v === null ? short(v) : v;
	}

	function table(caption, columns, rows) {
		const head = element('tr', {}, columns.map(function (c) {
			return element('th', {scope: 'col', class: c.text ? 'l' : '', text: c.head});
		}));
		const body = rows.map(function (r) {
			return element('tr', {}, r.map(function (v, i) {
				return i === 0 ? element('th', {scope: 'row', class: 'l', text: cellText(v)}) :
					element('td', {class: columns[i].text ? 'l' : '', text: cellText(v)});
			}));
		});
		return element('table', {}, [element('caption', {class: 'away', text: caption}),
			element('thead', {}, [head]), element('tbody', {}, body)]);
	}

	function scroll(label, content) {
		return element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label}, [content]);
	}

	/* ---- drawing ---- */

	function title(text) {
		return {display: text !== '', text: text, color: css('--soft')};
	}

	function axis(text, more) {
		const a = {
			title: title(text),
			grid: {color: css('--line'), borderColor: css('--line'), tickColor: css('--line')},
			ticks: {color: css('--soft'), maxRotation: 0},
			beginAtZero: true,
		};
		return Object.assign(a, more || {});
	}

	function legend(boxHeight) {
		return {
			position: 'bottom',
			labels: {color: css('--ink'), boxWidth: 14, boxHeight: boxHeight || 2},
		};
	}

	function line(g, x0, y0, x1, y1) {
		const cx = y0 === y1 ? 0 : 4, cy = y0 === y1 ? 4 : 0;
		g.beginPath();
		g.moveTo(x0, y0);
		g.lineTo(x1, y1);
		g.moveTo(x0 - cx, y0 - cy);
		g.lineTo(x0 + cx, y0 + cy);
		g.moveTo(x1 - cx, y1 - cy);
		g.lineTo(x1 + cx, y1 + cy);
		g.stroke();
	}

	function known(v) {
		return v !== undefined && v !== null && !Number.isNaN(v);
	}

	/* Infinite ends lie beyond the drawing, and so does the cap of their whisker. */
	function pixel(scale, v) {
		const beyond = scale.isHorizontal() ? 40 : -40;
		if (isFinite(v))
			return scale.getPixelForValue(v);
		return v > 0 ? (scale.isHorizontal() ? scale.right : scale.top) + beyond :
			(scale.isHorizontal() ? scale.left : scale.bottom) - beyond;
	}

	/* What has no place on an axis is left to the table. */
	function drawable(v) {
		return known(v) && isFinite(v) ? v : null;
	}

	/* The largest of these that can be drawn. */
	function largest(values) {
		return Math.max.apply(null, [0].concat(values.map(drawable)));
	}

	/* Whiskers: a dataset's points may carry xLow, xHigh, yLow, yHigh. */
	const whiskers = {
		id: 'whiskers',
		afterDatasetsDraw: function (chart) {
			const g = chart.ctx, area = chart.chartArea;
			g.save();
			g.beginPath();
			g.rect(area.left - 5, area.top - 5, area.right - area.left + 10, area.bottom - area.top + 10);
			g.clip();
			g.lineWidth = 1.5;
			chart.data.datasets.forEach(function (set, d) {
				if (!set.whiskers || !chart.isDatasetVisible(d))
					return;
				const meta = chart.getDatasetMeta(d), s = chart.scales;
				g.strokeStyle = set.whiskerColor || css('--ink');
				set.whiskers.forEach(function (w, i) {
					const e = meta.data[i];
					if (!w || !e)
						return;
					if (known(w.yLow) && known(w.yHigh))
						line(g, e.x, pixel(s.y, w.yLow), e.x, pixel(s.y, w.yHigh));
					if (known(w.xLow) && known(w.xHigh))
						line(g, pixel(s.x, w.xLow), e.y, pixel(s.x, w.xHigh), e.y);
				});
			});
			g.restore();
		},
	};

	/* What fits into a part of a drawing's width, about that of so many letters. */
	function fit(text, chart, part) {
		const letters = Math.max(8, Math.floor(part * chart.width / 6.2));
		return text.length > letters ? text.slice(0, letters - 1) + '\u2026' : text;
	}

	/* `sharp`: dots of the drawing for one of the page; left out, those of the screen. */
	function draw(f, sharp) {
		const config = f.config();
		config.options = Object.assign({
			responsive: true,
			maintainAspectRatio: false,
			animation: false,
		}, config.options);
		if (sharp)
			config.options.devicePixelRatio = sharp;
		config.plugins = [whiskers].concat(config.plugins || []);
		if (f.chart)
			f.chart.destroy();
		f.chart = new Chart(f.canvas, config);
	}

	/* add puts a figure into a place of the page. f: id, title, note (optional), columns [{key, head,
	 * text}], rows() -> arrays of values, summary (one sentence, what a reader would see), config() ->
	 * of Chart.js, height in rem (optional). */
	function add(place, f) {
		const home = document.querySelector('[data-figures="' + place + '"]');
		if (!home)
			return null;
		f.canvas = element('canvas', {id: f.id, role: 'img',
			'aria-label': f.title + '. ' + (f.summary ? f.summary + ' ' : '') + 'The table below has its numbers.'});
		f.holder = element('div', {class: 'canvas'}, [f.canvas]);
		if (f.height)
			f.holder.style.height = f.height + 'rem';
		f.details = element('details', {}, [element('summary', {text: 'Table'})]);
		f.details.addEventListener('toggle', function () {
			if (f.details.open)
				fillTable(f);
		});
		const parts = [element('figcaption', {id: f.id + '-caption', text: f.title})];
		if (f.note)
			parts.push(element('p', {class: 'note', text: f.note}));
		f.figure = element('figure', {class: f.wide ? 'chart wide' : 'chart', 'aria-labelledby': f.id + '-caption'},
			parts.concat([f.holder, element('div', {class: 'tools'},
				[f.details, csvButton(f.id, f.title, f.columns, f.rows)])]));
		home.append(f.figure);
		all.push(f);
		draw(f);
		return f;
	}

	function fillTable(f) {
		const old = f.details.querySelector('.scroll');
		if (old)
			old.remove();
		f.details.append(scroll(f.title, table(f.title, f.columns, f.rows())));
	}

	/* update draws one figure anew after its numbers changed. */
	function update(f) {
		draw(f);
		if (f.details.open)
			fillTable(f);
	}

	/* Colours are baked into a canvas: draw again when the scheme changes. */
	function drawAll() {
		Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
		all.forEach(function (f) { draw(f); });
		document.documentElement.dataset.drawn = String(all.length);
	}

	/* Nobody tells a drawing how wide the paper is: about the width of A4 and of letter, so that its
	 * letters are as large as those around it; the style sheet makes it fit exactly. */
	const paper = {wide: 640, half: 310};

	function drawForPaper() {
		all.forEach(function (f) {
			const alone = f.wide || f.figure.matches(':only-child'), height = f.holder.getBoundingClientRect().height;
			draw(f, 3);
			f.chart.resize(alone ? paper.wide : paper.half, Math.max(height, 200));
		});
	}

	return {data: data, all: all, css: css, colour: colour, fade: fade, short: short, withInterval: withInterval,
		percent: percent, largest: largest, drawable: drawable, element: element, csv: csv, csvButton: csvButton, table: table, scroll: scroll,
		axis: axis, legend: legend, add: add, update: update, fit: fit, drawAll: drawAll, drawForPaper: drawForPaper};
})();
