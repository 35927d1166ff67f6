import type { Command } from 'commander';
import { UsageError } from '../../base/errors.js';
import { pageTopics, sectionTopics, topics } from './help-topics.js';
import { manualPages } from './manual.js';
import { renderSections, renderText } from './manual-format.js';
import { subjects } from './manual-sections.js';

/** Explains a command, or one of `topics`. Throws `UsageError` for anything else. */
export function helpCommand(root: Command, wanted: string | undefined): void {
  const commands = root.createHelp().visibleCommands(root);
  const command = wanted === undefined ? root : commands.find((one) => one.name() === wanted);
  // With the text after the options, as in `COMMAND --help`.
  if (command !== undefined) command.outputHelp();
  else process.stdout.write(textOf(root, commands, wanted));
}

function textOf(root: Command, commands: readonly Command[], wanted: string | undefined): string {
  const page = pageTopics.find((one) => one === wanted);
  if (page !== undefined) return renderText(manualPages(root)[page]);
  const section = sectionTopics.find((one) => one === wanted);
  if (section !== undefined) return renderSections([subjects[section]]);
  const known = [...commands.map((one) => one.name()), ...topics];
  throw new UsageError(`there is no help about '${wanted}'; there is about ${known.join(', ')}`);
}
