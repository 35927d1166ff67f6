/** The parts of the file system, put together: each gets the parts that it needs by its constructor, or by a callback that is set here. */
import type { Account } from '../providers/provider.js';
import type { Ino } from '../tree/inode.js';
import { SpaceAccounting } from './attributes/statfs.js';
import { Xattrs } from './attributes/xattrs.js';
import { Contents } from './content/contents.js';
import { markCorrupt, markOutdated } from './content/corruption.js';
import { Mappings } from './content/mappings.js';
import { Passthrough } from './content/passthrough.js';
import { Relocation } from './content/relocation.js';
import { Resizing } from './content/resizing.js';
import { noteMoved } from './content/revisions.js';
import type { Core } from './core/core.js';
import { LookupDeadlines } from './core/deadlines.js';
import { FailureLog } from './core/failure-log.js';
import { Invalidations } from './core/invalidations.js';
import { Handles } from './handles.js';
import { CachedFiles } from './inspect/cached-files.js';
import { Inspection } from './inspect/inspection.js';
import { Disposal } from './names/disposal.js';
import { HardLinks } from './names/hard-links.js';
import { Namespace } from './names/namespace.js';
import { AsideFiles } from './names/removed-while-open.js';
import { Renaming } from './names/renaming.js';
import { Copying } from './names/server-side-copy.js';
import { SpecialFiles } from './names/special-files.js';
import { Pins } from './pins/pins.js';
import { StateXattrs } from './pins/state-xattrs.js';
import { Intents } from './recovery/intents.js';
import { Trash } from './trash/trash.js';
import { TrashDirectory } from './trash/trash-directory.js';
import { Discarding } from './uploads/discarding.js';
import { Exclusion } from './uploads/exclusion.js';
import { Orphans } from './uploads/orphans.js';
import { Uploader } from './uploads/uploader.js';

export interface Parts {
  readonly uploader: Uploader;
  readonly discarding: Discarding;
  readonly contents: Contents;
  readonly passthrough: Passthrough;
  readonly mappings: Mappings;
  readonly namespace: Namespace;
  readonly renaming: Renaming;
  readonly resizing: Resizing;
  readonly intents: Intents;
  readonly copying: Copying;
  readonly specials: SpecialFiles;
  readonly links: HardLinks;
  readonly xattrs: Xattrs;
  readonly failures: FailureLog;
  readonly invalidations: Invalidations;
  readonly handles: Handles;
  readonly space: SpaceAccounting;
  readonly relocation: Relocation;
  readonly asideFiles: AsideFiles;
  readonly lookups: LookupDeadlines;
  readonly trash: TrashDirectory;
  readonly inspection: Inspection;
  readonly pins: Pins;
  readonly cached: CachedFiles;
}

/** `root`: the mounted directory. */
export function assemble(core: Core, root: Ino, account: Account): Parts {
  const space = new SpaceAccounting(core, account.quota);
  const passthrough = new Passthrough(core);
  const relocation = new Relocation(core, root);
  const contents = new Contents(core, relocation);
  const mappings: Mappings = new Mappings(core, contents, passthrough, (state) => {
    handles.writersGone(state).catch((error) => core.log.error({ error }, 'the end of a mapping'));
  });
  core.readers.onCorruption = (file) => {
    markCorrupt(core, file);
    pins.corrupted(file.id);
  };
  core.readers.onOutdated = (file) => markOutdated(core, file);
  const orphans = new Orphans(core);
  const exclusion = new Exclusion(core.table, root, core.options.exclude);
  const uploader = new Uploader(core, { contents, orphans, relocation, exclusion }, (bytes) => space.changed(bytes));
  const intents = new Intents(core, orphans, (ino, file) => {
    const state = core.files.state(ino);
    if (state !== undefined) noteMoved(core, state, file);
  });
  const asideFiles = new AsideFiles(core, contents, intents, account.root.id);
  contents.onAbandoned = (state) => asideFiles.release(state);
  orphans.vacate = (target, signal) => asideFiles.vacate(target, signal);
  const disposal = new Disposal(core, contents, asideFiles);
  asideFiles.dispose = (file) => disposal.dispose(file);
  const forNames = { contents, uploader, intents, relocation, asideFiles, disposal };
  const namespace = new Namespace(core, forNames);
  disposal.onRemoved = (bytes, toTrash) => space.removed(bytes, toTrash);
  const trash = new Trash(core, { ...forNames, namespace, space }, root);
  const pins: Pins = new Pins(core, namespace, root);
  disposal.onTrashed = (remote) => trash.noteRemoved(remote);
  const renaming = new Renaming(core, namespace, forNames);
  intents.unsettled.finish = (rename) => renaming.finish(rename);
  namespace.toNextName = (inode, caller) => renaming.toNextName(inode, caller);
  const resizing = new Resizing(core, contents, uploader);
  const handles: Handles = new Handles(core, { namespace, contents, resizing, passthrough, mappings, uploader });
  return {
    ...forNames,
    ...{ passthrough, mappings, namespace, renaming, resizing, handles, space },
    discarding: new Discarding(core, contents),
    copying: new Copying(core, forNames, namespace, exclusion, (bytes) => space.changed(bytes)),
    specials: new SpecialFiles(core, namespace),
    links: new HardLinks(core, namespace, contents),
    xattrs: new Xattrs(core, new StateXattrs(core, pins)),
    failures: new FailureLog(core),
    invalidations: new Invalidations(core.log, (ino) => handles.noteOutdated(ino)),
    lookups: new LookupDeadlines(core),
    trash: new TrashDirectory(core, trash, root),
    inspection: new Inspection(core, namespace, root),
    pins,
    cached: new CachedFiles(core, namespace, root),
  };
}
