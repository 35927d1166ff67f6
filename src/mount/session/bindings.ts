import { SyncmountError } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import type { Binding } from '../../fuse/binding.js';
import { kernelBinding } from '../../fuse/kernel/kernel-binding.js';
import { nativeBinding } from '../../fuse/native/native-binding.js';

/** In the order of preference. */
export const bindings: readonly Binding[] = [kernelBinding, nativeBinding];

export interface ChosenBinding {
  readonly binding: Binding;
  /** Sentences for the user. */
  readonly warnings: readonly string[];
}

/** The requested binding, or the first one that works here. Throws `SyncmountError` `fuse-missing` if none does. */
export async function chooseBinding(wanted: 'auto' | 'kernel' | 'native', log: Log): Promise<ChosenBinding> {
  const problems: string[] = [];
  for (const binding of bindings) {
    if (wanted !== 'auto' && binding.name !== wanted) continue;
    const { ok, message } = await binding.probe();
    if (ok) return { binding, warnings: warningsFor(binding, problems) };
    problems.push(message);
    log.warn({ binding: binding.name }, message);
  }
  const [problem] = problems;
  throw new SyncmountError('fuse-missing', problem ?? `there is no '${wanted}' binding in this version`);
}

/** Only Linux has the kernel binding, so elsewhere its absence needs no warning. */
function warningsFor({ name }: Binding, [problem]: readonly string[]): string[] {
  if (problem === undefined || process.platform !== 'linux') return [];
  return [`${problem}. The ${name} binding is used, which is slower and has limits: docs/bindings.md`];
}
