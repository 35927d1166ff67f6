// A reporter for vitest that prints each failure in full as it happens. vitest's own reporter shows failures at the end of the run. With
// this one, failures are also seen in an interrupted run, and while the run goes on.

/** The lines of the stack that name our own files. */
function placesIn(stack = '') {
  return stack.split('\n').filter((line) => line.includes(`${process.cwd()}/`) && !line.includes('/node_modules/'));
}

function tell(what, errors) {
  for (const { message, diff, stack } of errors)
    console.log([`\nFAILED ${what}`, message, diff, ...placesIn(stack)].filter(Boolean).join('\n'));
}

export default class {
  onTestCaseResult(test) {
    tell(`${test.module.relativeModuleId} > ${test.fullName}`, test.result().errors ?? []);
  }

  /** Failures in the hooks around the tests of a `describe`. */
  onTestSuiteResult(suite) {
    tell(`${suite.module.relativeModuleId} > ${suite.fullName}`, suite.errors());
  }

  /** Failures in loading a file, or in the hooks around all of its tests. */
  onTestModuleEnd(module) {
    tell(module.relativeModuleId, module.errors());
  }
}
