// Prints "PASSED FAILED SKIPPED" of a vitest JSON report. A file that could not be loaded counts as one failure.
import { readFileSync } from 'node:fs';

try {
  const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
  const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  const skipped = report.numPendingTests + report.numTodoTests;
  console.log(report.numPassedTests, report.numFailedTests + broken.length, skipped);
} catch {
  console.log(0, 1, 0);
}
