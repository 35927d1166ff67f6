#!/usr/bin/env node
/**
 * The start of the program, CommonJS as all of it: Node.js needs a fifth of its own start to set up its loader of ES modules.
 */
const { writeSync } = require('node:fs');
const { basename } = require('node:path');
const { engines, version } = require('../package.json');

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

/** Answers `syncmount --version`, which needs nothing else of the program. False where it was not asked, or could not be written. */
function tellsVersion([option, ...others]) {
  if (!/^(--version|-V)$/.test(option) || others.length > 0 || /^mount\./.test(basename(process.argv[1]))) return false;
  try {
    writeSync(1, `${version}\n`);
    return true;
  } catch {
    return false;
  }
}

// Loaded after the check: an older Node.js may not understand the program, and crashes when it loads the addons.
if (!isInRange(engines.node)) {
  process.stderr.write(`syncmount: Node.js ${engines.node} is needed, and this is ${process.versions.node}\n`);
  process.exitCode = 1;
} else if (!tellsVersion(process.argv.slice(2))) require('../dist/syncmount.cjs');
