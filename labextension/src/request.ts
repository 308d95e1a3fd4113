import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IProblem } from './types';

const NAMESPACE = 'jupyter-sessions';

/** A failure with a message for people, usually from the server. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly hint: string | null = null,
    readonly field: string | null = null,

    /** The server's name for the kind of error. */
    readonly reason: string | null = null
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** The `status` of a request that got no answer. */
export const NO_ANSWER = 0;

/** The `status` of a failure without a request. */
export const NO_REQUEST = -1;

/** The `reason` of an error that force would avoid. */
export const NEEDS_FORCE = 'NeedsForce';

/** The `reason` why a service does not start for lack of memory. */
export const NO_ROOM = 'NoRoom';

/** Convert any failure to an `ApiError`. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) {
    return error;
  }
  const isNetwork = error instanceof ServerConnection.NetworkError;
  const words = error instanceof Error ? error.message : `${error}`;
  return new ApiError(words, isNetwork ? NO_ANSWER : NO_REQUEST);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problem(response: Response, body: unknown): ApiError {
  const { message, reason, hint, field } = (body ?? {}) as IProblem;
  const words =
    message || reason || `${response.status} ${response.statusText}`;
  return new ApiError(words, response.status, hint, field, reason);
}

/** Send a request to a route of the server extension. */
export async function requestAPI<T>(
  path: string,
  settings: ServerConnection.ISettings,
  init: RequestInit = {}
): Promise<T> {
  const url = URLExt.join(settings.baseUrl, NAMESPACE, path);
  const response = await ServerConnection.makeRequest(url, init, settings);
  const body = parse(await response.text());
  if (!response.ok) {
    throw problem(response, body);
  }
  if (body === null && response.status !== 204) {
    throw new ApiError('The server’s answer is not JSON.', response.status);
  }
  return body as T;
}
