/** Which binding a mount uses: the one that was asked for, otherwise the best that works here. */
import { SyncmountError } from '../base/errors.js';
import type { Log } from '../base/log.js';
import type { Binding } from './binding.js';
import { kernelBinding } from './kernel/kernel-binding.js';
import { nativeBinding } from './native/native-binding.js';

/** Best first. */
export const bindings: readonly Binding[] = [kernelBinding, nativeBinding];

/**
 * Throws what is missing when `wanted` does not work here, or when none does. Says so in one line when it is not the
 * first choice.
 */
export async function chooseBinding(
  wanted: Binding['name'] | undefined,
  log: Log,
  candidates: readonly Binding[] = bindings,
): Promise<Binding> {
  const considered = wanted === undefined ? candidates : candidates.filter(({ name }) => name === wanted);
  const reasons: string[] = [];
  for (const binding of considered) {
    const { ok, message } = await binding.probe();
    if (!ok) {
      reasons.push(message);
      continue;
    }
    if (reasons.length > 0)
      log.warn({ binding: binding.name }, `using the ${binding.name} binding: ${reasons.join('; ')}`);
    return binding;
  }
  throw new SyncmountError('fuse-missing', reasons.join('; ') || `there is no binding ${wanted}`);
}
