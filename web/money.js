'use strict';
/* What it costs, in the page: the formulas of src/cost/saving.c, one function each, so that prices
 * and rates can be changed without measuring again. A test holds each to the C function for many
 * inputs. Intervals are {value, low, high}; null ends: there is none; an end that no measurement
 * bounds is infinite (of a capacity its lower one 0). */
const perseus = {};

perseus.money = (function () {
	const hoursPerMonth = 730, maxSteps = 100000;

	function has(i) {
		return i.low !== null && i.high !== null;
	}

	function square(x) {
		return x * x;
	}

	function isPlace(x) {
		return x > 0 && isFinite(x);
	}

	/* On the logarithm: the middle of an interval; of an open one the value, or the end that is known. */
	function middleOf(value, low, high) {
		const middle = Math.sqrt(low * high);
		if (isPlace(middle))
			return middle;
		return isPlace(value) || Number.isNaN(value) ? value : isPlace(high) ? high : low;
	}

	/* What MOVER needs of a term: besides its value a middle, and the squared distances from there to its
	 * ends. A capacity that a fresh trial lowered stands at its lower end. */
	function logTerm(i) {
		const low = has(i) ? Math.log(i.low) : NaN, high = has(i) ? Math.log(i.high) : NaN;
		const middle = Math.log(has(i) ? middleOf(i.value, i.low, i.high) : i.value);
		return {value: Math.log(i.value), middle: middle, down2: square(middle - low), up2: square(high - middle)};
	}

	/* It holds the value in any case. */
	function interval(t) {
		const low = t.middle - Math.sqrt(t.down2), high = t.middle + Math.sqrt(t.up2);
		return {value: t.value, low: Number.isNaN(low) ? t.value : Math.min(t.value, low),
			high: Number.isNaN(high) ? t.value : Math.max(t.value, high)};
	}

	function usdPerMonth(usdPerHour) {
		return usdPerHour * hoursPerMonth;
	}

	/* Part of the machines is rented at another price. */
	function mixedPrice(onDemand, spot, spotShare) {
		return spotShare > 0 ? (1 - spotShare) * onDemand + spotShare * spot : onDemand;
	}

	function perMillion(usdPerHour, ips) {
		return ips > 0 ? usdPerHour / (ips * 3600) * 1e6 : Infinity;
	}

	function usdPerMillion(usdPerHour, capacity) {
		return {
			value: perMillion(usdPerHour, capacity.value),
			low: has(capacity) ? perMillion(usdPerHour, capacity.high) : null,
			high: has(capacity) ? perMillion(usdPerHour, capacity.low) : null,
		};
	}

	/* sum(r_i / C_i). A capacity without an interval counts as its value; the sum then has none. */
	function shareApart(rates, capacities) {
		const sum = {value: 0, middle: 0, down2: 0, up2: 0};
		let all = true;
		rates.forEach(function (r, i) {
			const c = capacities[i];
			if (r === 0)
				return;
			const v = r / c.value, low = has(c) ? r / c.high : v, high = has(c) ? r / c.low : v;
			const middle = middleOf(v, low, high);
			sum.value += v;
			sum.middle += middle;
			sum.down2 += square(middle - low);
			sum.up2 += square(high - middle);
			all = all && has(c);
		});
		return all ? interval(sum) : {value: sum.value, low: null, high: null};
	}

	/* 1 - s/d of independent s and d. */
	function oneLessRatio(s, d) {
		if (!isFinite(d.value))
			return {value: NaN, low: null, high: null};
		const a = logTerm(s), b = logTerm(d), both = has(s) && has(d);
		const ratio = interval({value: a.value - b.value, middle: a.middle - b.middle, down2: a.down2 + b.up2, up2: a.up2 + b.down2});
		return {
			value: 1 - Math.exp(ratio.value),
			low: both ? 1 - Math.exp(ratio.high) : null,
			high: both ? 1 - Math.exp(ratio.low) : null,
		};
	}

	function fluidSaving(rates, capacities, share) {
		return oneLessRatio(share, shareApart(rates, capacities));
	}

	function inverse(x, factor) {
		return {value: factor / x.value, low: has(x) ? factor / x.high : null,
			high: has(x) ? factor / x.low : null};
	}

	function isOnRay(rates, ray) {
		for (let i = 1; i < rates.length; i++) {
			const a = rates[i] * ray[0], b = rates[0] * ray[i];
			if (Math.abs(a - b) > 1e-6 * Math.max(Math.abs(a), Math.abs(b)))
				return false;
		}
		return true;
	}

	/* The share of one machine that the rates need together; off the ray the frontier is taken to
	 * be a straight line. */
	function shareOnRay(rates, ray, capacities, scale) {
		if (isOnRay(rates, ray))
			return inverse(scale, rates[0] / ray[0]);
		const wanted = shareApart(rates, capacities).value, whole = shareApart(ray, capacities).value;
		return inverse(scale, wanted / whole);
	}

	function fullLoadSaving(ray, capacities, scale) {
		return oneLessRatio(inverse(scale, 1), shareApart(ray, capacities));
	}

	/* The ends moved outwards on the logarithm, so that n + 1 statements hold at once; `factor` comes
	 * with the data. */
	function widen(x, factor) {
		if (!has(x) || !(factor > 1))
			return x;
		return {
			value: x.value,
			low: x.low > 0 ? x.value * Math.pow(x.low / x.value, factor) : 0,
			high: isFinite(x.high) ? x.value * Math.pow(x.high / x.value, factor) : Infinity,
		};
	}

	/* Whole machines; a hair over a whole number is rounding, not a machine, and any load needs one. */
	function machines(share) {
		return share > 0 ? Math.max(1, Math.ceil(share - 1e-9)) : 0;
	}

	/* However much a machine may carry, a tenant apart has one of its own. */
	function countApart(rates, capacities, widening) {
		const r = {value: 0, low: 0, high: 0};
		let all = true;
		rates.forEach(function (rate, i) {
			const c = widen(capacities[i], widening);
			if (!(rate > 0))
				return;
			r.value += machines(rate / c.value);
			r.low += has(c) ? Math.max(1, machines(rate / c.high)) : 0;
			r.high += has(c) ? machines(rate / c.low) : 0;
			all = all && has(c);
		});
		return all ? r : {value: r.value, low: null, high: null};
	}

	function countTogether(share, widening, held) {
		if (held)
			return {value: 1, low: 1, high: 1};
		const s = widen(share, widening);
		return {
			value: Math.max(1, machines(s.value)),
			low: has(s) ? Math.max(1, machines(s.low)) : null,
			high: has(s) ? Math.max(1, machines(s.high)) : null,
		};
	}

	/* 1 - a/b where either count may be infinite. */
	function machinesSaved(together, apart) {
		if (together === Infinity)
			return apart === Infinity ? NaN : -Infinity;
		return apart > 0 ? 1 - together / apart : NaN;
	}

	/* held: a trial of these rates, or of higher ones, kept every SLA on one machine. */
	function machineSaving(rates, capacities, share, held, usdPerHour, widening) {
		const apart = countApart(rates, capacities, widening);
		const together = countTogether(share, widening, held);
		const both = has(apart) && has(together);
		return {
			apart: apart,
			together: together,
			saving: {
				value: machinesSaved(together.value, apart.value),
				low: both ? machinesSaved(together.high, apart.low) : null,
				high: both ? machinesSaved(together.low, apart.high) : null,
			},
			apartUsdPerMonth: usdPerMonth(apart.value * usdPerHour),
			togetherUsdPerMonth: usdPerMonth(together.value * usdPerHour),
		};
	}

	/* ---- which of two machines is cheaper (src/cost/curve.c) ---- */

	/* Whole machines of one type at a rate, in dollars an hour. */
	function stairsAt(type, rate) {
		const c = type.capacity, least = rate > 0 ? 1 : 0;
		const at = function (capacity) { return rate > 0 ? machines(rate / capacity) : 0; };
		return {
			value: type.usdPerHour * at(c.value),
			low: has(c) ? type.usdPerHour * Math.max(least, at(c.high)) : null,
			high: has(c) ? type.usdPerHour * at(c.low) : null,
		};
	}

	function near(a, b) {
		return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
	}

	function cheaper(types, n) {
		const a = n[0] * types[0].usdPerHour, b = n[1] * types[1].usdPerHour;
		return near(a, b) ? 0 : a < b ? -1 : 1;
	}

	/* At the k-th step of stair i the other one needs n machines: wherever in their intervals the two
	 * capacities lie? */
	function isSure(types, i, k, n, widening) {
		const c = widen(types[i].capacity, widening), other = widen(types[1 - i].capacity, widening);
		if (!has(c) || !has(other))
			return false;
		return Math.floor(k * c.low / other.high + 1e-9) + 1 === n && Math.floor(k * c.high / other.low + 1e-9) + 1 === n;
	}

	function isExact(c) {
		return has(c) && c.low === c.high;
	}

	function crossingAt(types, n, took, before, widening) {
		const i = took === 2 ? 1 : 0, k = n[i] - 1, c = widen(types[i].capacity, widening);
		return {
			rate: {value: k * c.value, low: has(c) ? k * c.low : null, high: has(c) ? k * c.high : null},
			before: before,
			then: cheaper(types, n),
			sure: took === 3 ? isExact(types[0].capacity) && isExact(types[1].capacity) :
				isSure(types, i, k, n[1 - i], widening),
		};
	}

	/* Where the cheaper of two types {usdPerHour, capacity} changes, up to a rate; null: too many steps. */
	function breakEven(types, upTo, widening) {
		const n = [1, 1], found = [];
		if (upTo / types[0].capacity.value + upTo / types[1].capacity.value > maxSteps)
			return null;
		for (;;) {
			const a = n[0] * types[0].capacity.value, b = n[1] * types[1].capacity.value;
			const before = cheaper(types, n), took = near(a, b) ? 3 : a < b ? 1 : 2;
			if (Math.min(a, b) > upTo)
				return found;
			n[0] += took & 1;
			n[1] += took >> 1;
			if (cheaper(types, n) !== before)
				found.push(crossingAt(types, n, took, before, widening));
		}
	}

	return {
		stairsAt: stairsAt,
		breakEven: breakEven,
		usdPerMonth: usdPerMonth,
		mixedPrice: mixedPrice,
		usdPerMillion: usdPerMillion,
		shareApart: shareApart,
		shareOnRay: shareOnRay,
		fluidSaving: fluidSaving,
		fullLoadSaving: fullLoadSaving,
		machineSaving: machineSaving,
	};
})();
