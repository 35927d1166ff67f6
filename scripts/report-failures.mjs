// A reporter for vitest beside its own, which shows failures at the end of the run: each one in full as it happens, so that a run
// that is broken off, or that somebody watches, tells what failed.

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

  /** What failed in the hooks around the tests of a `describe`. */
  onTestSuiteResult(suite) {
    tell(`${suite.module.relativeModuleId} > ${suite.fullName}`, suite.errors());
  }

  /** What failed in loading a file, or in the hooks around all of its tests. */
  onTestModuleEnd(module) {
    tell(module.relativeModuleId, module.errors());
  }
}
