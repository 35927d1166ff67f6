import type { Command } from 'commander';
import { UsageError } from '../base/errors.js';
import { topics } from './help-topics.js';
import { manualPages } from './manual.js';
import { renderText } from './manual-format.js';

/** Explains a command, or one of `topics`. Throws `UsageError` for anything else. */
export function helpCommand(root: Command, wanted: string | undefined): void {
  process.stdout.write(textOf(root, wanted));
}

function textOf(root: Command, wanted: string | undefined): string {
  if (wanted === undefined) return root.helpInformation();
  const commands = root.createHelp().visibleCommands(root);
  const command = commands.find((one) => one.name() === wanted);
  if (command !== undefined) return command.helpInformation();
  const topic = topics.find((one) => one === wanted);
  if (topic !== undefined) return renderText(manualPages(root)[topic]);
  const known = [...commands.map((one) => one.name()), ...topics];
  throw new UsageError(`there is no help about '${wanted}'; there is about ${known.join(', ')}`);
}
