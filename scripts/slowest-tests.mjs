// Prints the slowest tests of a run, the files with most processor time, and how many tests the quick run left out. Arguments: a vitest
// JSON report, the tally beside it (test/support/extent.ts, test/support/processor-time.ts), and the number of tests in the report that
// are left to another run.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const SHOWN = 20;
/** A file's time outside of its tests is shown from this on, ms: less is the loading of the file. */
const WORTH_SHOWING_MS = 2000;
const [reportPath, tallyPath, left = '0'] = process.argv.slice(2);

let testResults;
try {
  ({ testResults } = JSON.parse(readFileSync(reportPath, 'utf8')));
} catch {
  // A run that broke before its end has no report; count-tests.mjs counts that as a failure.
  process.exit(0);
}

const timed = testResults.flatMap(({ name, startTime, endTime, assertionResults }) => {
  const file = relative(process.cwd(), name);
  const tests = assertionResults.map(({ fullName, duration }) => ({ file, what: fullName.trim(), ms: duration ?? 0 }));
  const outside = endTime - startTime - tests.reduce((sum, { ms }) => sum + ms, 0);
  return [
    ...tests,
    ...(outside > WORTH_SHOWING_MS ? [{ file, what: '(before and between its tests)', ms: outside }] : []),
  ];
});
timed.sort((a, b) => b.ms - a.ms);
console.log(`The slowest ${Math.min(SHOWN, timed.length)}:`);
for (const { file, what, ms } of timed.slice(0, SHOWN))
  console.log(`${(ms / 1000).toFixed(1).padStart(8)} s  ${file}: ${what}`);

if (existsSync(tallyPath)) {
  const lines = readFileSync(tallyPath, 'utf8').trimEnd().split('\n');
  const used = lines.flatMap((line) => {
    const [, seconds, file] = /^([\d.]+) s (.+)$/.exec(line) ?? [];
    return file === undefined ? [] : [{ file, seconds: Number(seconds) }];
  });
  used.sort((a, b) => b.seconds - a.seconds);
  const all = used.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log(`${all.toFixed(0)} s of processor time in all files; those with most:`);
  for (const { file, seconds } of used.slice(0, SHOWN)) console.log(`${seconds.toFixed(1).padStart(8)} s  ${file}`);
  const leftOut = lines.reduce((sum, line) => sum + (/^\d+$/.test(line) ? Number(line) : 0), 0);
  const known = testResults.reduce((sum, { assertionResults }) => sum + assertionResults.length, 0);
  if (leftOut > 0)
    console.log(
      `${known - left} of the ${known + leftOut} tests of the complete matrix: scripts/test --all runs them all`,
    );
}
