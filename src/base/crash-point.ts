/** In the environment of a mount under test; nothing that users are told of. */
const KILL_AT = 'SYNCMOUNT_TEST_KILL_AT';

const writes = /^\s*(INSERT|UPDATE|DELETE|COMMIT)\b/i;

/**
 * For tests of crashes: where the variable says `N`, the process dies by SIGKILL before its Nth write to the state
 * database; where it says `N+`, right after it, before anything that waits for that write goes on. Answers what the
 * database is to call before each statement; undefined, at no cost, where the variable is absent.
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
