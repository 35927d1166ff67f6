// The printed results: for each row the medians of all rounds.

/** The median: for an even count, the mean of the two middle numbers. Null if there are no numbers. */
export function median(numbers) {
  if (numbers.length === 0) return null;
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
}

/** The table of all rounds. `results`: one for each row, contender and round. `names`: the names of the contenders, ours first. */
export function table({ names, rows, results }) {
  const peers = ['rclone', 'disk', 'before'].filter((name) => names.includes(name));
  const of = (row, name, what) =>
    median(results.filter((r) => r.row === row.name && r.contender === name && r[what] !== null).map((r) => r[what]));
  const heads = ['Work', ...names, 'requests', 'longest stall', ...peers.map((name) => `ours / ${name}`)];
  const lines = [heads, heads.map(() => '---')];
  for (const row of rows) {
    const figures = names.map((name) => of(row, name, 'figure'));
    if (figures.every((figure) => figure === null)) continue;
    const [ours] = figures;
    const ratio = (peer) =>
      ours === null || !of(row, peer, 'figure') ? '' : (ours / of(row, peer, 'figure')).toPrecision(2);
    const shown = figures.map((figure) => (figure === null ? '' : `${figure.toPrecision(3)} ${row.unit}`));
    const stall = of(row, names[0], 'stall');
    const requests = of(row, names[0], 'requests');
    lines.push([
      row.title,
      ...shown,
      requests ?? '',
      stall === null ? '' : `${stall.toFixed(0)} ms`,
      ...peers.map(ratio),
    ]);
  }
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
