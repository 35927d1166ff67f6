/** Commands with several actions: `trash`, `cache` and `uploads` take the name of an action first. */
import { UsageError } from '../../base/errors.js';
import { type Context, mountNamed } from '../context.js';

/**
 * Returns the action that is named first, and the other words. Without words, or if the first word names a mount, it is the first of
 * `actions`. Throws `UsageError` for any other word.
 */
export function actionIn<T extends string>(
  context: Pick<Context, 'registry'>,
  actions: readonly [T, ...T[]],
  words: readonly string[],
): { readonly action: T; readonly args: readonly string[] } {
  const [first, ...rest] = words;
  const named = actions.find((known) => known === first);
  if (named !== undefined) return { action: named, args: rest };
  if (first === undefined || mountNamed(context, first).entry !== undefined) return { action: actions[0], args: words };
  throw new UsageError(`'${first}' is none of ${actions.join(', ')}, and no mount`);
}
