'use strict';
/* The figures of a comparison of two campaigns. */
(function () {
	const fig = perseus.figures, data = fig.data, css = fig.css;
	const maxRows = 60, maxBars = 24;

	/* ---- ratios ---- */

	function ratioConfig(rows) {
		const state = {real: css('--bad'), perhaps: css('--open'), 'not shown': css('--soft')};
		return {
			type: 'scatter',
			data: {datasets: [{
				data: rows.map(function (r, i) { return {x: r.ratio, y: i, row: r}; }),
				whiskers: rows.map(function (r) { return {xLow: r.low, xHigh: r.high}; }),
				backgroundColor: rows.map(function (r) { return state[r.difference]; }),
				borderWidth: 0, pointRadius: 6, pointHoverRadius: 7, clip: false,
			}]},
			options: {
				scales: {
					x: fig.axis('first / second', {beginAtZero: false, grace: '5%', suggestedMin: 0.95, suggestedMax: 1.05,
						grid: {color: function (c) {
							return c.tick.value === 1 ? css('--ink') : css('--line');
						}, borderColor: css('--line')}}),
					y: {min: -0.5, max: rows.length - 0.5, reverse: true, grid: {display: false, borderColor: css('--line')},
						afterBuildTicks: function (s) { s.ticks = rows.map(function (r, i) { return {value: i}; }); },
						ticks: {color: css('--ink'), autoSkip: false, callback: function (v) {
							return rows[v] ? fig.fit(rows[v].what, this.chart, 0.4) : '';
						}}},
				},
				plugins: {legend: {display: false}, tooltip: {callbacks: {label: function (c) {
					const r = c.raw.row;
					return r.what + ': ' + fig.withInterval({value: r.ratio, low: r.low, high: r.high}) + ', ' + r.difference;
				}}}},
			},
		};
	}

	function ratios() {
		const all = data.agreement.rows;
		/* the clearest first */
		const rows = all.slice().sort(function (a, b) {
			return Math.abs(Math.log(b.ratio)) - Math.abs(Math.log(a.ratio));
		}).slice(0, maxRows);
		if (rows.length === 0)
			return;
		fig.add('ratios', {id: 'ratios', wide: true, height: 6 + 1.9 * rows.length, title: 'First / second, with 95 % intervals',
			note: rows.length < all.length ? rows.length + ' of ' + all.length + ' are drawn, the largest; the table has all.' : undefined,
			summary: all.filter(function (r) { return r.difference === 'real'; }).length + ' differences are real.',
			columns: [{key: 'what', head: 'what', text: true}, {key: 'ratio', head: 'first / second'}, {key: 'low', head: 'low'},
				{key: 'high', head: 'high'}, {key: 'difference', head: 'difference', text: true},
				{key: 'conditions', head: 'conditions', text: true}],
			rows: function () {
				return all.map(function (r) {
					return [r.what, r.ratio, r.low, r.high, r.difference, r.changed ? 'other' : r.counted ? 'same' : 'derived'];
				});
			},
			config: function () { return ratioConfig(rows); }});
	}

	/* ---- side by side ---- */

	function pairs(key) {
		const list = [];
		data.first.lines.forEach(function (l) {
			const other = data.second.lines.find(function (o) { return o.tenant === l.tenant && o.set === l.set; });
			if (other && (l[key].value !== null || other[key].value !== null))
				list.push({name: l.tenant, set: l.label, first: l[key], second: other[key]});
		});
		return list;
	}

	function sideConfig(list, unit) {
		const names = ['first', 'second'];
		let top = 0;
		list.forEach(function (p) {
			names.forEach(function (n) { top = fig.largest([top, p[n].value, p[n].high]); });
		});
		return {
			type: 'bar',
			data: {labels: list.map(function (p) { return [p.name, p.set]; }), datasets: names.map(function (n, k) {
				return {label: n, data: list.map(function (p) { return fig.drawable(p[n].value); }),
					whiskers: list.map(function (p) { return {yLow: p[n].low, yHigh: p[n].high}; }),
					values: list.map(function (p) { return p[n]; }),
					backgroundColor: fig.fade(fig.colour(k), 0.75), maxBarThickness: 40};
			})},
			options: {
				scales: {x: fig.axis('', {grid: {display: false, borderColor: css('--line')}}), y: fig.axis(unit, {suggestedMax: top})},
				plugins: {legend: fig.legend(9), tooltip: {callbacks: {label: function (c) {
					return c.dataset.label + ': ' + fig.withInterval(c.dataset.values[c.dataIndex], unit);
				}}}},
			},
		};
	}

	function side(id, title, key, unit) {
		const all = pairs(key), shown = all.slice(0, maxBars);
		if (all.length === 0)
			return;
		fig.add('sides', {id: id, wide: all.length > 6, title: title,
			note: shown.length < all.length ? shown.length + ' of ' + all.length + ' are drawn; the table has all.' : undefined,
			columns: [{key: 'tenant', head: 'tenant', text: true}, {key: 'set', head: 'set', text: true},
				{key: 'first', head: 'first'}, {key: 'first_low', head: 'low'}, {key: 'first_high', head: 'high'},
				{key: 'second', head: 'second'}, {key: 'second_low', head: 'low'}, {key: 'second_high', head: 'high'}],
			rows: function () {
				return all.map(function (p) {
					return [p.name, p.set, p.first.value, p.first.low, p.first.high, p.second.value, p.second.low, p.second.high];
				});
			},
			config: function () { return sideConfig(shown, unit); }});
	}

	ratios();
	side('capacities', 'Capacity', 'capacity_rps', 'requests/s at the SLA');
	perseus.even.start(data.first, data.second, data.widening_of_two);
	side('costs', 'Cost', 'usd_per_million_inferences', '$ per million inferences');
	perseus.page.start();
})();
