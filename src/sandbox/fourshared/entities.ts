/** The entities of the documents: UserResponse, FileResponse, FolderResponse, with every documented field and its type. */
import { mimeType } from '../content/mime.js';
import { dateOf } from '../http/wire.js';
import type { FourSharedName } from '../options.js';
import type { Readings, Settings } from './options.js';
import type { Account } from './state/account.js';
import type { FileItem, FolderItem } from './state/items.js';
import { isIncomplete } from './state/items.js';

export const userId = 'tow4q9ki';

/** The fields that `PUT /user` may change. */
export interface Profile {
  firstName: string;
  lastName: string;
  email: string;
  timeZone: string;
}

export interface UserResponse extends Profile {
  id: string;
  plan: string;
  freeSpace: number;
  totalSpace: number;
  uploadSizeLimit: number;
  rootFolderId: string;
  profileUrl: string;
  status: string | null;
  verified: boolean;
  /** 4shared only. */
  allowSearch?: string;
  created: string;
  lastLogin: string;
  expiration: string;
}

export interface FileResponse {
  id: string;
  name: string;
  size: number;
  modified: string | number;
  description: string | null;
  tags: string[] | null;
  path: string;
  parentId: string;
  downloadPage: string;
  ownerId: string;
  mimeType: string;
  exif: null;
  md5: string | null;
  ownerOnly: boolean;
  status: 'incomplete' | 'trashed' | 'normal';
  virusScanResult: string;
  id3: null;
}

export interface FolderResponse {
  id: string;
  name: string;
  description: string;
  parentId: string | null;
  path: string;
  modified: string | number;
  access: string;
  numChildren: number;
  numFiles: number;
  ownerId: string;
  permissions: string;
  passwordProtected: boolean;
  folderLink: string;
  userPermissions: string;
  status: 'trashed' | 'normal';
  hasMembers: boolean;
}

export class Entities {
  readonly profile: Profile = {
    firstName: 'Sandbox',
    lastName: 'User',
    email: 'sandbox@example.com',
    timeZone: 'GMT+02:00',
  };
  readonly #site: string;

  constructor(
    readonly provider: FourSharedName,
    readonly account: Account,
    readonly settings: Settings,
    readonly readings: Readings,
  ) {
    this.#site = provider === '4sync' ? 'https://www.4sync.com' : 'https://www.4shared.com';
  }

  user(): UserResponse {
    const { quotaBytes, uploadSizeLimit } = this.settings;
    return {
      id: userId,
      ...this.profile,
      plan: 'FREE',
      freeSpace: Math.max(0, quotaBytes - this.account.usedBytes),
      totalSpace: quotaBytes,
      uploadSizeLimit,
      rootFolderId: this.account.root.id,
      profileUrl: `${this.#site}/u/${userId}/sandbox.html`,
      status: null,
      verified: true,
      ...(this.provider === '4shared' ? { allowSearch: 'enabled' } : {}),
      created: '2015-07-22T12:18:43.000Z',
      lastLogin: '2016-01-12T13:56:40.000Z',
      expiration: '2036-07-10T13:56:40.000Z',
    };
  }

  /** `description` and `tags` "are not returned by default and must be requested via … addFields". */
  file(
    file: FileItem,
    added: ReadonlySet<string> = new Set(),
    folderPath?: string,
    uploadAnswer = false,
  ): FileResponse {
    const { account, readings } = this;
    const hidden = readings.md5 === 'never' || (readings.md5 === 'after-upload' && uploadAnswer) || isIncomplete(file);
    return {
      id: file.id,
      name: folderPath === undefined ? account.asked.told(file) : file.name,
      size: file.size,
      modified: date(readings, file.modified),
      description: added.has('description') ? file.description : null,
      tags: added.has('tags') ? file.tags : null,
      path: folderPath === undefined ? account.path(file) : `${folderPath}/${file.name}`,
      parentId: file.parentId,
      downloadPage: `${this.#site}/file/${file.id}/${linkName(file.name)}.html`,
      ownerId: userId,
      mimeType: mimeType(file.name),
      exif: null,
      md5: hidden ? null : file.md5,
      ownerOnly: file.ownerOnly,
      status: account.isTrashed(file) ? 'trashed' : isIncomplete(file) ? 'incomplete' : 'normal',
      virusScanResult: 'clean',
      id3: null,
    };
  }

  folder(folder: FolderItem, parentPath?: string): FolderResponse {
    const { account } = this;
    const counts = account.index(folder.id).counts();
    return {
      id: folder.id,
      name: parentPath === undefined ? account.asked.told(folder) : folder.name,
      description: folder.description,
      parentId: folder.parentId,
      path: parentPath === undefined ? account.path(folder) : `${parentPath}/${folder.name}`,
      modified: date(this.readings, folder.modified),
      access: folder.access,
      numChildren: counts.folders,
      numFiles: counts.files,
      ownerId: userId,
      permissions: folder.permissions,
      passwordProtected: folder.passwordProtected,
      folderLink: `${this.#site}/folder/${folder.id}/${linkName(folder.name)}.html`,
      userPermissions: folder.userPermissions,
      status: account.isTrashed(folder) ? 'trashed' : 'normal',
      hasMembers: folder.hasMembers,
    };
  }
}

function date(readings: Readings, milliseconds: number): string | number {
  return dateOf(readings, new Date(milliseconds).toISOString());
}

function linkName(name: string): string {
  return name.replace(/\.[^.]*$/, '').replace(/[^A-Za-z0-9]+/g, '_');
}
