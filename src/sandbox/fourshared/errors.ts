/** The documents' table "Common Responses". Every error of the sandbox is one of its rows. */
import { Refusal } from '../refusal.js';

export interface ErrorBody {
  message: string;
  code: string;
  cause: string | null;
  fieldName: string | null;
}

/** An error answer. Its HTTP status is the part of the code before the dot. */
export class ApiError extends Refusal {
  readonly status: number;
  constructor(
    readonly code: string,
    message: string,
    readonly fieldName: string | null = null,
    readonly details: string | null = null,
    readonly headers: Record<string, string> = {},
    status?: number,
  ) {
    super(message);
    this.name = 'ApiError';
    this.status = status ?? Number(code.slice(0, 3));
  }

  body(): ErrorBody {
    return { message: this.message, code: this.code, cause: this.details, fieldName: this.fieldName };
  }
}

const invalid = (name: string) => `Invalid value for ${name} parameter.`;

export const missing = (name: string, type = 'String') =>
  new ApiError('400.0212', `Request parameter ${name} of type ${type} is missing.`, name);
export const badLength = (name: string, low: number, high: number) =>
  new ApiError(
    '400.0213',
    `${invalid(name)} The length of the ${name} value should be between ${low} and ${high}.`,
    name,
  );
export const empty = (name: string) => new ApiError('400.0215', `${invalid(name)} ${name} may not be empty.`, name);
export const unsupportedValue = (name: string, values: readonly string[]) =>
  new ApiError('400.0216', `${invalid(name)} The following values are supported: [${values.join(', ')}].`, name);
export const tooGreat = (name: string, value: number) =>
  new ApiError('400.0218', `${invalid(name)} The value of the ${name} should be less than or equal to ${value}.`, name);
export const tooSmall = (name: string, value: number) =>
  new ApiError(
    '400.0219',
    `${invalid(name)} The value of the ${name} should be greater than or equal to ${value}.`,
    name,
  );
export const badEmail = () => new ApiError('400.0220', 'E-mail address is incorrect.', 'email');
export const badRequest = (why: string) => new ApiError('400', 'Bad request.', null, why);
export const malformed = (name: string | null, why: string) =>
  new ApiError('400.0500', 'Incorrect parameter type or malformed body.', name, why);

export const unauthorized = (why: string) => new ApiError('401.0300', 'Unauthorized.', null, why);
export const badToken = () =>
  new ApiError('401.0301', 'Unauthorized. Your token either expired, rejected or does not exist.');
export const userRefused = () =>
  new ApiError('401.0316', 'Unauthorized. User either does not exist or refuse your application.');
export const usedNonce = () =>
  new ApiError(
    '401.0318',
    'Invalid nonce. You should generate a Nonce value that is unique for all requests with that timestamp.',
  );
export const badTimestamp = (seconds: number) =>
  new ApiError(
    '401.0319',
    `Timestamp refused. Difference between server and client timestamp must be no more than ${seconds} seconds.`,
  );

export const noSpace = () => new ApiError('403.0100', 'Insufficient storage space.');
export const planLimit = () => new ApiError('403.0101', "User's plan file size limit exceeded.");
export const folderFull = () => new ApiError('403.0102', 'Number of files in folder limit exceeded.');
export const accountFull = () => new ApiError('403.0103', 'Number of files in account limit exceeded.');
export const tooDeep = () => new ApiError('403.0104', 'Number of nested folders limit exceeded.');
export const tooManyFolders = () => new ApiError('403.0105', 'Number of folders in account limit exceeded.');
export const rootFolder = () => new ApiError('403.0200', "Root folder can't be renamed or deleted.");
export const nameExists = (name: string) =>
  new ApiError('403.0201', `The file or folder with name ${name} already exists.`, 'name');
export const useUpload = (bytes: number) =>
  new ApiError('403.0206', `File size limit exceeded. To upload files larger than ${bytes / 1e6} MB, use /upload.`);
export const inTrash = () =>
  new ApiError('403.0223', 'The action or subresource request is not allowed. The resource is in trash.');
export const notInTrash = () => new ApiError('403.0224', 'The action is not allowed. The resource is not in trash.');
export const badSize = (why: string) => new ApiError('403.0225', 'Incorrect file size.', null, why);
export const wrongFileType = () => new ApiError('403.0233', 'Current file type does not support this action.');
export const forbidden = () => new ApiError('403.0302', 'Insufficient permissions to access or modify the resource.');
export const passwordProtected = () => new ApiError('403.0303', 'Access denied. The folder is password protected.');
export const ownerOnly = (what: 'access' | 'permissions' | 'password') => {
  const code = { access: '403.0306', permissions: '403.0307', password: '403.0308' }[what];
  return new ApiError(code, `Folder ${what} may only be modified by an owner.`, what);
};

export const notFound = () => new ApiError('404', 'Not Found.');
export const badMethod = (method: string, supported: readonly string[]) => {
  const list = supported.join(', ');
  const message =
    `HTTP request method ${method} is not supported by the resource. ` +
    `The following HTTP request methods are supported: [${list}].`;
  return new ApiError('405.0211', message, null, null, { allow: list });
};
export const badFormat = () =>
  new ApiError('406.0209', 'Requested data format is not supported. The following formats are supported: [json].');
export const badMediaType = (supported: readonly string[]) => {
  const list = supported.join(', ');
  return new ApiError(
    '415.0210',
    `Provided media type is not supported. The following media types are supported: [${list}].`,
  );
};
/** An error of plain HTTP, which the documents do not mention. */
export const badRange = (size: number) =>
  new ApiError('416', 'Requested Range Not Satisfiable.', null, null, { 'content-range': `bytes */${size}` });
export const rateLimited = (calls: number, seconds: number, retryAfter: number | null) => {
  const headers: Record<string, string> = retryAfter === null ? {} : { 'retry-after': String(retryAfter) };
  const message = `Rate limit exceeded. Just ${calls} per ${seconds} seconds for user allowed.`;
  return new ApiError('429.0107', message, null, null, headers);
};
export const internal = (why: string) => new ApiError('500.0600', 'Internal server error.', null, why);
export const notImplemented = () => new ApiError('501.0601', 'The sandbox does not offer this call.');
