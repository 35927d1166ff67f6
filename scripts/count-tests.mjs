// Prints "PASSED FAILED SKIPPED LEFT" of a vitest JSON report. LEFT: tests with the tag of the second argument, which this run has left to
// another one. They are not among the skipped. A file without a test counts as one failure, because it has none or could not be loaded.
// A run without a file counts as one failure, too.
import { readFileSync } from 'node:fs';

const [path, tag] = process.argv.slice(2);
try {
  const report = JSON.parse(readFileSync(path, 'utf8'));
  const empty = report.testResults.filter((file) => file.assertionResults.length === 0);
  const failed = report.numFailedTests + empty.length + (report.testResults.length === 0 ? 1 : 0);
  const waiting = report.testResults.flatMap((file) =>
    file.assertionResults.filter(({ status }) => status === 'skipped' || status === 'pending'),
  );
  const left = waiting.filter(({ tags }) => tag !== undefined && tags.includes(tag)).length;
  console.log(report.numPassedTests, failed, report.numPendingTests + report.numTodoTests - left, left);
} catch {
  console.log(0, 1, 0, 0);
}
