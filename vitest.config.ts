import { relative } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest, in this order: whatever is short fills up the end of the run, when a long file would leave one
 * worker alone. `scripts/test` prints what took long.
 */
const longest = ['test/mount/faults/', 'test/mount/', 'test/contract/', 'test/soak/', 'test/'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const path = relative(this.ctx.config.root, moduleId);
      return longest.findIndex((start) => path.startsWith(start));
    };
    return (await super.sort(files)).sort((a, b) => rankOf(a) - rankOf(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Mount tests share one kernel and two cores: a file at a time keeps their figures and their mount table apart.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    // In the quick run a service may have no turn in a file. A file without any test is a failure of scripts/test.
    passWithNoTests: process.env.SYNCMOUNT_TEST_ALL !== '1',
    // Four times of what the longest take on a machine that has others to serve: the limits end what hangs, and judge nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000, interval: 50 } },
  },
});
