#!/usr/bin/env node
import { readFileSync } from 'node:fs';

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** True where this Node.js is in a range of the forms `>=20.18.1` and `^22.14.0 || >=23.6.0`. */
function isInRange(range) {
  const own = process.versions.node.split('.').map((part) => Number.parseInt(part, 10));
  return range.split('||').some((part) => {
    const [, kind, ...numbers] = /^\s*(\^|>=)(\d+)\.(\d+)\.(\d+)\s*$/.exec(part);
    const wanted = numbers.map(Number);
    const at = own.findIndex((number, index) => number !== wanted[index]);
    return (at < 0 || own[at] > wanted[at]) && (kind === '>=' || own[0] === wanted[0]);
  });
}

// Loaded after the check: an older Node.js may not understand the program, and crashes when it loads the addons.
if (isInRange(engines.node)) await import('../dist/syncmount.js');
else {
  process.stderr.write(`syncmount: Node.js ${engines.node} is needed, and this is ${process.versions.node}\n`);
  process.exitCode = 1;
}
