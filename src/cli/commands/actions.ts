/** The commands that are a family: `trash`, `cache` and `uploads` take the name of an act first. */
import { UsageError } from '../../base/errors.js';
import { type Context, mountNamed } from '../context.js';

/**
 * The act that is named first, and the other words. The first of `actions` where none is named: without words, or where the first one
 * names a mount. Throws `UsageError` for any other word.
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
