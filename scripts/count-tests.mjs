// Prints "PASSED FAILED SKIPPED" of a vitest JSON report. A file without a test counts as one failure, whether it could not
// be loaded or has none, and so does a run without a file.
import { readFileSync } from 'node:fs';

try {
  const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  const empty = report.testResults.filter((file) => file.assertionResults.length === 0);
  const failed = report.numFailedTests + empty.length + (report.testResults.length === 0 ? 1 : 0);
  console.log(report.numPassedTests, failed, report.numPendingTests + report.numTodoTests);
} catch {
  console.log(0, 1, 0);
}
