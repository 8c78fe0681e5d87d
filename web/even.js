'use strict';
/* From what rate on another machine is cheaper: two stairs of whole machines, as perseus report
 * break-even computes them (money.js). The second machine is that of a second campaign, or one whose
 * capacity somebody states. */
perseus.even = (function () {
	const fig = perseus.figures, money = perseus.money, el = fig.element;
	const inputs = {}, maxShown = 12;
	let all = [], widening = 1, second = null, chart = null;

	/* ---- who may be compared ---- */

	function known(l) {
		return l.capacity_rps.value !== null && l.capacity_rps.value > 0;
	}

	/* All capacities of a set are one measured factor along one ray: they sum end by end. */
	function sum(lines) {
		const add = function (k) {
			return lines.reduce(function (s, l) {
				return s === null || l.capacity_rps[k] === null ? null : s + l.capacity_rps[k];
			}, 0);
		};
		return {value: add('value'), low: add('low'), high: add('high')};
	}

	function aloneIn(data) {
		return data.lines.filter(function (l) { return l.alone && known(l); }).map(function (l) {
			return {key: 'tenant ' + l.tenant, name: l.tenant + ', alone', lines: [l], capacity: l.capacity_rps};
		});
	}

	function setsIn(data) {
		return data.comparisons.map(function (c) {
			const lines = data.lines.filter(function (l) { return l.set === c.set; });
			return {key: 'set ' + c.set, name: c.set + ', sharing machines (rates summed)', lines: lines, capacity: sum(lines)};
		}).filter(function (s) { return s.lines.length > 0 && s.lines.every(known); });
	}

	function subjectsOf(data) {
		return aloneIn(data).concat(setsIn(data));
	}

	/* The same requests: as many inferences in each, and of a set the same mix. */
	function isSame(a, b) {
		return a.lines.length === b.lines.length && a.lines.every(function (l) {
			const o = b.lines.find(function (x) { return x.tenant === l.tenant; });
			return o && o.batch === l.batch &&
				Math.abs(l.capacity_rps.value / a.capacity.value - o.capacity_rps.value / b.capacity.value) <= 1e-6;
		});
	}

	function inBoth(firsts, seconds) {
		return firsts.map(function (a) {
			const b = seconds.find(function (x) { return x.key === a.key && isSame(a, x); });
			return b && Object.assign(a, {other: b.capacity});
		}).filter(Boolean);
	}

	/* ---- what is asked, and the answer ---- */

	function number(id) {
		const input = inputs[id], ok = input.value !== '' && input.validity.valid && isFinite(input.valueAsNumber);
		input.setAttribute('aria-invalid', String(input.value !== '' && !ok));
		return ok ? input.valueAsNumber : null;
	}

	function stated() {
		const c = number('be-capacity');
		return c === null ? null : {value: c, low: c, high: c};
	}

	/* Both machines, or null where something is not given. */
	function asked() {
		const who = all[Number(inputs['be-who'].value)], a = number('be-first'), b = number('be-second');
		const other = second ? who.other : stated();
		if (a === null || b === null || other === null)
			return null;
		const given = number('be-up-to');
		return {upTo: given === null ? 4 * Math.max(who.capacity.value, other.value) : given,
			types: [{usdPerHour: a, capacity: who.capacity}, {usdPerHour: b, capacity: other}]};
	}

	function compute() {
		const a = asked();
		return a && Object.assign(a, {found: money.breakEven(a.types, a.upTo, widening)});
	}

	function side(which) {
		return which === 0 ? 'equal' : which < 0 ? (second ? 'first' : 'measured') : second ? 'second' : 'other';
	}

	function cheaper(which) {
		return which === 0 ? 'they cost the same' : 'the ' + side(which) + ' machine is cheaper';
	}

	function sentence(o) {
		if (!o)
			return second ? 'Give what both machines cost.' : 'Give what the other machine costs and can do.';
		if (!o.found)
			return 'That are too many machines to step through: ask for a lower rate.';
		const usd = o.types.map(function (t) { return t.usdPerHour; });
		const start = 'At low rates ' + cheaper(Math.sign(usd[0] - usd[1]));
		if (o.found.length === 0)
			return start + ', and it stays so up to ' + fig.short(o.upTo) + ' requests/s.';
		const x = o.found[0];
		return start + '; above ' + fig.withInterval(x.rate) + ' requests/s ' + cheaper(x.then) + (x.sure ? '.' : ' (not sure).') +
			(o.found.length > 1 ? ' The stairs cross ' + o.found.length + ' times up to ' + fig.short(o.upTo) + ' requests/s.' : '');
	}

	const crossingColumns = [{key: 'rps', head: 'above, requests/s'}, {key: 'rps_low', head: 'low'}, {key: 'rps_high', head: 'high'},
		{key: 'cheaper', head: 'cheaper', text: true}, {key: 'sure', head: 'sure', text: true}];

	function crossingRows() {
		const o = compute();
		return (o && o.found || []).map(function (x) {
			return [x.rate.value, x.rate.low, x.rate.high, side(x.then), x.sure ? 'yes' : 'no'];
		});
	}

	/* ---- the curve ---- */

	function curveColumns() {
		const columns = [{key: 'rps', head: 'requests/s'}];
		[side(-1), side(1)].forEach(function (s) {
			columns.push({key: s + '_usd_per_hour', head: s + ', $/h'}, {key: s + '_low', head: 'low'}, {key: s + '_high', head: 'high'});
		});
		return columns;
	}

	function curve() {
		const o = compute(), rows = [];
		for (let i = 0; o && i <= 100; i++) {
			const rate = o.upTo * i / 100, a = money.stairsAt(o.types[0], rate), b = money.stairsAt(o.types[1], rate);
			rows.push([rate, a.value, a.low, a.high, b.value, b.low, b.high]);
		}
		return rows;
	}

	/* Exact corners, where they can be told apart. */
	function stairs(type, upTo) {
		const points = [{x: 0, y: type.usdPerHour}], n = Math.ceil(upTo / type.capacity.value - 1e-9) - 1, by = Math.max(1, Math.ceil(n / 400));
		for (let k = by; k <= n; k += by)
			points.push({x: k * type.capacity.value, y: (k + 1) * type.usdPerHour});
		points.push({x: upTo, y: money.stairsAt(type, upTo).value});
		return points;
	}

	function config() {
		const o = compute(), line = function (label, type, k) {
			return {label: label, data: o ? stairs(type, o.upTo) : [], showLine: true, stepped: 'before', borderColor: fig.colour(k),
				backgroundColor: fig.colour(k), borderWidth: 2, pointRadius: 0, pointHitRadius: 6};
		};
		return {
			type: 'scatter',
			data: {datasets: [line(side(-1) + ' machine', o && o.types[0], 0),
				line(side(1) + ' machine' + (second ? '' : ', capacity stated'), o && o.types[1], 1)]},
			options: {
				interaction: {mode: 'nearest', axis: 'x', intersect: false},
				scales: {x: fig.axis('requests/s', {max: o ? o.upTo : 1}), y: fig.axis('$ an hour')},
				plugins: {legend: fig.legend(), tooltip: {callbacks: {
					title: function () { return ''; },
					label: function (c) { return c.dataset.label + ': $' + fig.short(c.raw.y) + '/h up to ' + fig.short(c.raw.x) + ' requests/s'; },
				}}},
			},
		};
	}

	function draw(o) {
		if (!chart && o)
			chart = fig.add('break-even', {id: 'break-even-curve', wide: true, height: 16,
				title: 'What whole machines cost as the rate grows', summary: 'Steps upwards: each is one more machine.',
				columns: curveColumns(), rows: curve, config: config});
		else if (chart)
			fig.update(chart);
		if (chart)
			chart.figure.hidden = !o;
	}

	function show() {
		const o = compute(), rows = crossingRows(), box = document.getElementById('be-out');
		document.getElementById('be-said').textContent = sentence(o);
		box.textContent = '';
		if (rows.length > 0)
			box.append(fig.scroll('Where the cheaper one changes', fig.table('Where the cheaper one changes', crossingColumns, rows.slice(0, maxShown))));
		if (rows.length > maxShown)
			box.append(el('p', {class: 'note', text: 'The first ' + maxShown + ' of ' + rows.length + '; the file has all.'}));
		if (rows.length > 0)
			box.append(fig.csvButton('break-even', 'where the cheaper machine changes', crossingColumns, crossingRows));
		document.documentElement.dataset.breakEven = JSON.stringify(rows);
		draw(o);
	}

	/* ---- the controls ---- */

	const price = {min: 0.000001, max: 10000}, rate = {min: 0.000001, max: 1e9};

	function field(id, label, attributes, value) {
		inputs[id] = el('input', Object.assign({id: id, type: 'number', inputmode: 'decimal', step: 'any'}, attributes));
		inputs[id].value = value;
		inputs[id].addEventListener('input', show);
		return el('p', {class: 'field'}, [el('label', {for: id, text: label}), inputs[id]]);
	}

	function priceOf(data) {
		return data.price ? data.price.usd_per_hour : '';
	}

	function otherFields() {
		const fields = [];
		const choice = second ? null : perseus.prices.choice('be-machine', 'Its price is that of', function (row) {
			inputs['be-second'].value = row ? row.usd_per_hour : '';
			show();
		});
		if (choice)
			fields.push(choice);
		fields.push(field('be-second', 'Its price, $/h', price, second ? priceOf(second) : ''));
		if (!second)
			fields.push(field('be-capacity', 'Its capacity, requests/s (stated, not measured)', rate, ''));
		return fields;
	}

	function controls(first) {
		inputs['be-who'] = el('select', {id: 'be-who'}, all.map(function (s, i) { return el('option', {value: i, text: s.name}); }));
		inputs['be-who'].addEventListener('change', show);
		const form = el('form', {class: 'controls', 'aria-label': 'Break-even'}, [
			el('p', {class: 'field'}, [el('label', {for: 'be-who', text: 'Who is served'}), inputs['be-who']]),
			field('be-first', 'Price of the ' + side(-1) + ' machine, $/h', price, priceOf(first)),
			el('fieldset', {}, [el('legend', {text: 'The ' + side(1) + ' machine'})].concat(otherFields())),
			field('be-up-to', 'Rates up to, requests/s (empty: four times the larger capacity)', rate, '')]);
		form.addEventListener('submit', function (e) { e.preventDefault(); });
		return form;
	}

	/* start fills the section from one report, or from two whose campaigns ran on two machines. `by`: how
	 * much intervals widen when two shall hold at once. */
	function start(first, other, by) {
		second = other;
		widening = by;
		all = second ? inBoth(subjectsOf(first), subjectsOf(second)) : subjectsOf(first);
		if (all.length === 0) {
			document.getElementById('break-even').remove();
			return;
		}
		document.getElementById('break-even-box').append(controls(first), el('div', {class: 'outcome'}, [
			el('p', {id: 'be-said', class: 'said', 'aria-live': 'polite'}), el('div', {id: 'be-out'})]));
		show();
	}

	return {start: start};
})();
