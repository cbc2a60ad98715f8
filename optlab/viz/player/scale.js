// Numbers as text, and the scales of the axes. A scale maps values to 0..1 and knows its ticks.

function format(value, digits = 5) {
  if (value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "∞" : "-∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(Math.min(digits - 1, 3));
  return String(Number(value.toPrecision(digits)));
}

const typeset = (text) => text.replace(/-/g, "−").replace("e+", "e");

function powerOfTen(exponent) {
  const digits = String(Math.abs(exponent)).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
  return exponent === 0 ? "1" : exponent === 1 ? "10" : `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

const decade = (k) => ({ value: 10 ** k, label: powerOfTen(k) });

function tickLabel(value, spacing) {
  const size = Math.abs(value);
  if (size < spacing / 1e6) return "0";
  const decimals = Math.max(0, -Math.floor(Math.log10(spacing) + 1e-9));
  return typeset(size >= 1e5 || decimals > 4 ? Number(value.toPrecision(4)).toExponential() : value.toFixed(decimals));
}

function niceTicks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const spacing = power * ([1, 2, 5].find((m) => m * power >= raw * 0.999) ?? 10);
  const ticks = [];
  for (let i = Math.ceil(low / spacing - 1e-9); i * spacing <= high + spacing * 1e-9; i++) {
    ticks.push({ value: i * spacing, label: tickLabel(i * spacing, spacing) });
  }
  return ticks;
}

function linearScale(low, high) {
  const pad = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  const [from, to] = [low - pad, high + pad];
  return { kind: "linear", map: (v) => (v - from) / (to - from), ticks: (count) => niceTicks(from, to, count) };
}

function logScale(low, high) {
  const pad = 0.04 * Math.log10(high / low) || 0.2;
  const [from, to] = [Math.log10(low) - pad, Math.log10(high) + pad];
  const ticks = (count) => {
    const stride = Math.max(1, Math.ceil((to - from) / count));
    const decades = [];
    for (let k = Math.ceil(from / stride) * stride; k <= to; k += stride) decades.push(decade(k));
    // Less than two decades: round numbers say more than a single power.
    return decades.length > 1 ? decades : niceTicks(10 ** from, 10 ** to, count);
  };
  // Zero has no logarithm: it is drawn on the floor.
  return { kind: "log", map: (v) => (v >= 0 ? Math.max(0, (Math.log10(v) - from) / (to - from)) : NaN), ticks };
}

function symlogScale(unit, low, high) {
  const bend = (v) => Math.sign(v) * Math.log10(1 + Math.abs(v) / unit);
  const [from, to] = [bend(low), bend(high)];
  const pad = 0.05 * (to - from);
  const ticks = (count) => {
    const stride = Math.max(1, Math.ceil((to - from) / count));
    // Zero, then the largest: where labels collide, the first one stays.
    const all = [{ value: 0, label: "0" }];
    for (let k = Math.floor(Math.log10(Math.max(-low, high))); 10 ** k >= unit; k -= stride) {
      if (10 ** k <= high) all.push(decade(k));
      if (-(10 ** k) >= low) all.push({ value: -(10 ** k), label: `−${powerOfTen(k)}` });
    }
    return all;
  };
  return { kind: "symlog", map: (v) => (bend(v) - from + pad) / (to - from + 2 * pad), ticks };
}

/** The scale on which these numbers are readable; `preferLog` asks for log whenever nothing is negative. */
function chooseScale(numbers, preferLog) {
  const finite = numbers.filter(Number.isFinite).sort((a, b) => a - b);
  const sizes = finite.map(Math.abs).filter((v) => v > 0).sort((a, b) => a - b);
  if (finite.length === 0) return linearScale(0, 1);
  if (sizes.length === 0) return linearScale(-1, 1);
  const [low, high, largest] = [finite[0], finite.at(-1), sizes.at(-1)];
  const quantile = (share) => sizes[Math.floor(sizes.length * share)];
  const floor = Math.max(sizes[0], largest * 1e-20); // 20 decades at most
  if (low >= 0 && (preferLog || largest > 100 * floor)) return logScale(floor, high);
  if (largest <= 30 * quantile(0.5)) return linearScale(low, high);
  return symlogScale(Math.max(quantile(0.2), largest * 1e-8), low, high);
}
