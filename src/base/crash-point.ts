/** Set in the environment of a mount under test; not documented for users. */
const KILL_AT = 'SYNCMOUNT_TEST_KILL_AT';

const writes = /^\s*(INSERT|UPDATE|DELETE|COMMIT)\b/i;

/**
 * For tests of crashes. If the variable is `N`, the process kills itself by SIGKILL before its Nth write to the state
 * database. If it is `N+`, it does so right after that write, before the code that waits for the write goes on. Returns
 * the function that the database calls before each statement. Undefined, at no cost, if the variable is absent.
 */
export function crashPoint(): ((statement: unknown) => void) | undefined {
  const [, count, after] = /^(\d+)(\+?)$/.exec(process.env[KILL_AT] ?? '') ?? [];
  if (count === undefined) return undefined;
  let left = Number(count);
  const die = (): void => void process.kill(process.pid, 'SIGKILL');
  return (statement) => {
    if (!writes.test(String(statement)) || --left !== 0) return;
    if (after === '+') queueMicrotask(die);
    else die();
  };
}
