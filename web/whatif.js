'use strict';
/* What if: other prices, another share of spot machines, other rates; computed here from what was
 * measured (money.js), nothing is measured again. */
perseus.whatIf = (function () {
	const fig = perseus.figures, money = perseus.money, data = fig.data, el = fig.element;
	const columns = [
		{key: 'what', head: 'what', text: true}, {key: 'value', head: 'value'}, {key: 'low', head: 'low'},
		{key: 'high', head: 'high'}, {key: 'unit', head: 'unit', text: true},
	];
	const inputs = {};
	let chart = null;

	function inputOf(i) {
		return {value: i.value, low: i.has_interval ? i.low : null, high: i.has_interval ? i.high : null};
	}

	const sets = data.what_if.sets.map(function (s) {
		return {name: s.set, members: s.members, ray: s.ray_rps, scale: inputOf(s.scale),
			alone: s.alone_rps.map(inputOf), widening: s.widening, held: s.held, possible: s.possible};
	});

	function field(id, label, attributes, value) {
		const input = el('input', Object.assign({id: id, type: 'number', inputmode: 'decimal'}, attributes));
		input.value = value;
		input.dataset.initial = value;
		input.addEventListener('input', show);
		inputs[id] = input;
		return el('p', {class: 'field'}, [el('label', {for: id, text: label}), input]);
	}

	/* A field that is empty or out of its range counts as not given. */
	function number(id) {
		const input = inputs[id];
		const ok = input.value !== '' && input.validity.valid && isFinite(input.valueAsNumber);
		input.setAttribute('aria-invalid', String(input.value !== '' && !ok));
		return ok ? input.valueAsNumber : null;
	}

	function chosen() {
		return sets[inputs['wi-set'] ? Number(inputs['wi-set'].value) : 0];
	}

	function price() {
		const onDemand = number('wi-price'), spot = number('wi-spot'), share = number('wi-share');
		if (onDemand === null || share === null || (share > 0 && spot === null))
			return null;
		return money.mixedPrice(onDemand, spot, share / 100);
	}

	function rates(set) {
		const r = set.members.map(function (m) { return number('wi-rate-' + m); });
		return r.includes(null) || !r.some(function (v) { return v > 0; }) ? null : r;
	}

	/* A trial of rates at least as high kept every SLA on one machine. */
	function held(set, r) {
		return set.held && r.every(function (v, i) { return v <= data.tenants[set.members[i]].demand_rps; });
	}

	function machines(set, r, usd) {
		const share = money.shareOnRay(r, set.ray, set.alone, set.scale);
		return money.machineSaving(r, set.alone, share, held(set, r), usd === null ? NaN : usd, set.widening);
	}

	function perMillion(usd) {
		return data.lines.filter(function (l) {
			return l.capacity_rps.value !== null && l.compute_share > 0;
		}).map(function (l) {
			const c = l.capacity_rps;
			const ips = {value: c.value * l.batch, low: c.low === null ? null : c.low * l.batch,
				high: c.high === null ? null : c.high * l.batch};
			return {line: l, usd: money.usdPerMillion(usd * l.compute_share, ips)};
		});
	}

	/* compute returns everything that the controls change; parts that cannot be known are null. */
	function compute() {
		const set = sets.length ? chosen() : null, usd = price(), r = set && set.possible ? rates(set) : null;
		const out = {set: set, usdPerHour: usd, rates: r, machines: null, fluid: null, full: null, perMillion: []};
		if (r) {
			out.machines = machines(set, r, usd);
			out.fluid = money.fluidSaving(r, set.alone, money.shareOnRay(r, set.ray, set.alone, set.scale));
			out.full = money.fullLoadSaving(set.ray, set.alone, set.scale);
		}
		if (usd !== null)
			out.perMillion = perMillion(usd);
		return out;
	}

	function exactly(v) {
		return {value: v, low: null, high: null};
	}

	function rows() {
		const o = compute(), list = [];
		const put = function (what, i, unit) { list.push([what, i.value, i.low, i.high, unit]); };
		if (o.machines) {
			put('machines apart', o.machines.apart, 'machines');
			put('machines together', o.machines.together, 'machines');
			if (o.usdPerHour !== null) {
				put('cost apart', exactly(o.machines.apartUsdPerMonth), '$/month');
				put('cost together', exactly(o.machines.togetherUsdPerMonth), '$/month');
			}
			put('machine saving', o.machines.saving, 'share');
			put('fluid saving at these rates', o.fluid, 'share');
			put('fluid saving at full load', o.full, 'share');
		}
		o.perMillion.forEach(function (p) {
			put('cost of ' + p.line.tenant + ', ' + p.line.label, p.usd, '$/million inferences');
		});
		return list;
	}

	function said(i, unit) {
		if (unit === '$/month')
			return isFinite(i.value) ? i.value.toFixed(2) : fig.short(i.value);
		if (unit === '$/million inferences' && i.low === 0) /* of a capacity that nobody bounded */
			return fig.withInterval({value: i.value, low: -Infinity, high: i.high});
		return unit === 'share' ? fig.percent(i) : fig.withInterval(i);
	}

	function dollars(v) {
		return isFinite(v) ? '$' + v.toFixed(2) : 'no number of machines';
	}

	function sentence(o) {
		if (!o.set)
			return 'No set of several tenants was measured: only the cost per million inferences follows the price.';
		if (!o.set.possible)
			return 'The capacities of ' + o.set.name + ' are not all known: machines cannot be counted.';
		if (!o.rates)
			return 'Give every tenant a rate of 0 or more, and one of them more than 0.';
		const m = o.machines, one = m.together.value === 1;
		const counts = fig.short(m.together.value) + (one ? ' machine' : ' machines') + ' instead of ' + fig.short(m.apart.value);
		if (o.usdPerHour === null)
			return counts + '. Give the prices to see what that costs.';
		return dollars(m.togetherUsdPerMonth) + ' instead of ' + dollars(m.apartUsdPerMonth) + ' a month: ' + counts + '.';
	}

	function show() {
		const o = compute(), box = document.getElementById('wi-out');
		document.getElementById('wi-said').textContent = sentence(o);
		document.getElementById('wi-share-said').textContent = inputs['wi-share'].value + ' %';
		const shown = rows().map(function (r) {
			return [r[0], said({value: r[1], low: r[2], high: r[3]}, r[4]), r[4] === 'share' ? '' : r[4]];
		});
		box.textContent = '';
		box.append(fig.scroll('What it would cost', fig.table('What it would cost', [
			{head: 'what', text: true}, {head: 'value [95 %]'}, {head: 'unit', text: true}], shown)));
		document.documentElement.dataset.whatIf = JSON.stringify(rows());
		if (chart)
			fig.update(chart);
	}

	/* ---- what machines cost as all rates grow ---- */

	const curveColumns = [{key: 'scale', head: 'rates times'}, {key: 'apart', head: 'apart'},
		{key: 'together', head: 'together'}];

	function curve() {
		const o = compute(), list = [];
		if (!o.rates)
			return list;
		for (let i = 1; i <= 60; i++) {
			const x = i / 20, m = machines(o.set, o.rates.map(function (v) { return v * x; }), o.usdPerHour);
			list.push(o.usdPerHour === null ? [x, m.apart.value, m.together.value] :
				[x, m.apartUsdPerMonth, m.togetherUsdPerMonth]);
		}
		return list;
	}

	function curveConfig() {
		const list = curve(), money = compute().usdPerHour !== null;
		const step = function (label, column, k) {
			return {label: label, data: list.map(function (r) { return {x: r[0], y: r[column]}; }), showLine: true,
				stepped: 'after', borderColor: fig.colour(k), backgroundColor: fig.colour(k), borderWidth: 2,
				pointRadius: 0, pointHitRadius: 6};
		};
		return {
			type: 'scatter',
			data: {datasets: [step('each on its own machines', 1, 1), step('sharing machines', 2, 0)]},
			options: {
				interaction: {mode: 'nearest', axis: 'x', intersect: false},
				scales: {x: fig.axis('these rates, times', {max: 3}), y: fig.axis(money ? '$ a month' : 'machines')},
				plugins: {legend: fig.legend(), tooltip: {callbacks: {
					title: function () { return ''; },
					label: function (c) {
						return c.dataset.label + ', rates times ' + fig.short(c.raw.x) + ': ' + (money ? '$' : '') + fig.short(c.raw.y);
					},
				}}},
			},
		};
	}

	/* ---- the controls ---- */

	function setChoice() {
		const select = el('select', {id: 'wi-set'}, sets.map(function (s, i) {
			return el('option', {value: i, text: s.name});
		}));
		select.addEventListener('change', function () {
			rateFields();
			show();
		});
		inputs['wi-set'] = select;
		return el('p', {class: 'field'}, [el('label', {for: 'wi-set', text: 'Set of tenants'}), select]);
	}

	function rateFields() {
		const box = document.getElementById('wi-rates'), set = chosen();
		box.textContent = '';
		box.append(el('legend', {text: 'Rates, requests/s'}));
		set.members.forEach(function (m) {
			box.append(field('wi-rate-' + m, data.tenants[m].name, {min: 0, max: 1e9, step: 'any'}, data.tenants[m].demand_rps));
		});
	}

	/* Another row of the sheets: what it does not state is not given. */
	function take(row) {
		inputs['wi-price'].value = row ? row.usd_per_hour : inputs['wi-price'].dataset.initial;
		inputs['wi-spot'].value = row ? row.spot_usd_per_hour || '' : inputs['wi-spot'].dataset.initial;
		show();
	}

	function reset() {
		const machine = document.getElementById('wi-machine');
		if (machine) {
			machine.value = '';
			document.getElementById('wi-machine-said').textContent = '';
		}
		Object.keys(inputs).forEach(function (id) {
			if (id === 'wi-set')
				inputs[id].value = '0';
		});
		if (sets.length)
			rateFields();
		['wi-price', 'wi-spot', 'wi-share'].forEach(function (id) { inputs[id].value = inputs[id].dataset.initial; });
		show();
	}

	function controls() {
		const known = data.price ? data.price.usd_per_hour : '';
		const spot = data.price && data.price.spot_usd_per_hour ? data.price.spot_usd_per_hour : '';
		const prices = el('fieldset', {}, [el('legend', {text: 'Prices of one machine'})]);
		const choice = perseus.prices.choice('wi-machine', 'Those of', take);
		if (choice)
			prices.append(choice);
		prices.append(field('wi-price', 'On demand, $/h', {min: 0.000001, max: 10000, step: 'any'}, known),
			field('wi-spot', 'Spot, $/h', {min: 0.000001, max: 10000, step: 'any'}, spot));
		const share = field('wi-share', 'Share of spot machines', {min: 0, max: 100, step: 1, type: 'range'}, 0);
		share.append(el('output', {id: 'wi-share-said', for: 'wi-share', text: '0 %'}));
		prices.append(share);
		const button = el('button', {type: 'button', id: 'wi-reset', text: 'As measured'});
		button.addEventListener('click', reset);
		const form = el('form', {class: 'controls', 'aria-label': 'What if'}, [prices]);
		form.addEventListener('submit', function (e) { e.preventDefault(); });
		if (sets.length) {
			const rateBox = el('fieldset', {id: 'wi-rates'});
			form.append(rateBox);
			if (sets.length > 1)
				prices.before(setChoice());
		}
		form.append(el('p', {class: 'buttons'}, [button, ' ', fig.csvButton('what-if', 'what it would cost', columns, rows)]));
		return form;
	}

	function start() {
		const box = document.getElementById('what-if-box');
		box.append(controls(), el('div', {class: 'outcome'}, [
			el('p', {id: 'wi-said', class: 'said', 'aria-live': 'polite'}), el('div', {id: 'wi-out'})]));
		if (sets.length)
			rateFields();
		if (sets.some(function (s) { return s.possible; }))
			chart = fig.add('what-if', {id: 'cost-curve', wide: true, height: 16,
				title: 'Machines apart and together, as all rates grow',
				summary: 'Steps upwards: each is one more machine.',
				columns: curveColumns, rows: curve, config: curveConfig});
		show();
	}

	return {start: start, compute: compute, rows: rows};
})();
