'use strict';
/* Policies for the memory of models: efficiency against fairness, a point per policy. */
(function () {
	const fig = perseus.figures, css = fig.css;
	if (!fig.data.policies)
		return;
	const all = fig.data.policies.policies;
	/* Without optp among the policies there is nothing to divide by. */
	const relative = all.some(function (p) { return p.against_optp.value !== null; });

	/* In per cent of optp's throughput, or requests per second. */
	function efficiency(p) {
		const i = relative ? p.against_optp : p.requests_per_s, times = relative ? 100 : 1;
		const at = function (v) { return v === null ? null : times * v; };
		return {value: at(i.value), low: at(i.low), high: at(i.high)};
	}

	const drawn = all.filter(function (p) { return efficiency(p).value !== null && p.worst_share.value !== null; });

	function unfair(p) {
		return p.worst_share.value < 1 - 1e-6;
	}

	/* ---- names beside points ---- */

	function overlaps(a, b) {
		return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
	}

	/* The first place around its point that is free of other points, names and the edge. */
	function place(point, w, h, area, taken) {
		const d = 9, ways = [[d, -h - 2], [-d - w, -h - 2], [d, 3], [-d - w, 3], [d + 6, -h / 2], [-d - w - 6, -h / 2],
			[-w / 2, -h - d - 6], [-w / 2, d + 6]];
		const places = ways.map(function (o) { return {x: point.x + o[0], y: point.y + o[1], w: w, h: h}; });
		return places.find(function (p) {
			return p.x >= area.left && p.x + w <= area.right && p.y >= area.top && p.y + h <= area.bottom &&
				!taken.some(function (t) { return overlaps(p, t); });
		}) || places[0];
	}

	const names = {
		id: 'names',
		afterDatasetsDraw: function (chart) {
			const g = chart.ctx, points = chart.getDatasetMeta(0).data, h = 13;
			const taken = points.map(function (e) { return {x: e.x - 7, y: e.y - 7, w: 14, h: 14}; });
			g.save();
			g.font = '600 12px ' + Chart.defaults.font.family;
			g.textBaseline = 'top';
			g.fillStyle = css('--ink');
			points.forEach(function (e, i) {
				const at = place(e, g.measureText(drawn[i].policy).width, h, chart.chartArea, taken);
				g.fillText(drawn[i].policy, at.x, at.y);
				taken.push(at);
			});
			g.restore();
		},
	};

	/* ---- the drawing ---- */

	/* The line at which a promise is kept stands out. */
	function axis(text, at, more) {
		return fig.axis(text, Object.assign({beginAtZero: false, grace: '8%', suggestedMin: at, suggestedMax: at,
			grid: {color: function (c) { return c.tick.value === at ? css('--ink') : css('--line'); }, borderColor: css('--line')}}, more));
	}

	function config() {
		return {
			type: 'scatter',
			data: {datasets: [{
				data: drawn.map(function (p) { return {x: p.worst_share.value, y: efficiency(p).value, policy: p}; }),
				whiskers: drawn.map(function (p) {
					const e = efficiency(p);
					return {xLow: p.worst_share.low, xHigh: p.worst_share.high, yLow: e.low, yHigh: e.high};
				}),
				whiskerColor: css('--edge'),
				backgroundColor: drawn.map(function (p) { return css(unfair(p) ? '--bad' : '--good'); }),
				pointStyle: drawn.map(function (p) { return unfair(p) ? 'rectRot' : 'circle'; }),
				borderWidth: 0, pointRadius: drawn.map(function (p) { return unfair(p) ? 8 : 6; }), pointHoverRadius: 9,
			}]},
			options: {
				scales: {
					x: axis('fairness: worst off tenant, in parts of its share', 1, {min: 0}),
					y: axis(relative ? 'efficiency: % of optp\u2019s throughput' : 'efficiency: requests/s', relative ? 100 : 0),
				},
				plugins: {legend: {display: false}, tooltip: {callbacks: {label: function (c) {
					const p = c.raw.policy;
					return p.policy + ': ' + fig.withInterval(efficiency(p), relative ? '%' : '/s') + ', share ' + fig.withInterval(p.worst_share);
				}}}},
			},
			plugins: [names],
		};
	}

	function ends(i) {
		return [i.value, i.low, i.high];
	}

	fig.add('policies', {id: 'policies-drawing', wide: true, height: 25,
		title: 'Efficiency against fairness, a point per policy',
		note: 'Right of the dark upright nobody has less than its share over a run (round points); left of it somebody is robbed (diamonds). ' +
			(relative ? 'On the dark level throughput is that of optp. ' : '') + 'Bars: 95 % intervals over runs.' +
			(drawn.length < all.length ? ' ' + drawn.length + ' of ' + all.length + ' policies have both figures.' : ''),
		summary: drawn.map(function (p) {
			return p.policy + ': share ' + fig.short(p.worst_share.value) + ', ' + fig.short(efficiency(p).value) + (relative ? ' %' : '/s');
		}).join('; ') + '.',
		columns: [{key: 'policy', head: 'policy', text: true}, {key: 'worst_share', head: 'worst share'}, {key: 'worst_share_low', head: 'low'},
			{key: 'worst_share_high', head: 'high'}, {key: relative ? 'percent_of_optp' : 'requests_per_s', head: relative ? '% of optp' : 'requests/s'},
			{key: 'efficiency_low', head: 'low'}, {key: 'efficiency_high', head: 'high'}, {key: 'worst_epoch', head: 'worst epoch'}],
		rows: function () {
			return all.map(function (p) { return [p.policy].concat(ends(p.worst_share), ends(efficiency(p)), [p.worst_epoch]); });
		},
		config: config});
})();
