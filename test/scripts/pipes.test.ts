/** With `pipefail` a pipe fails where its reader leaves before its writer has ended: SIGPIPE, now and then, however right the answer was. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const scripts = readdirSync('scripts')
  .map((name) => join('scripts', name))
  .filter((path) => statSync(path).isFile() && (path.endsWith('.sh') || /^#!.*bash/.test(readFileSync(path, 'utf8'))));
/** grep that stops at the first line, head, and the like. What a line does with such an end (`|| true`) makes it right. */
const leavesEarly = /\|\s*(grep (-\w*[qm]|--quiet|--max-count)|head\b|sed \S*-n '\d+[{]?q|awk .*exit)(?!.*\|\| true)/;

it('no script has a pipe whose reader leaves early', () => {
  expect(scripts.length).toBeGreaterThan(8);
  const found = scripts.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => leavesEarly.test(line))
      .map((line) => `${path}: ${line.trim()}`),
  );
  expect(found).toEqual([]);
});
