import type { TranslationBundle } from '@jupyterlab/translation';

import { type ApiError, NO_ANSWER } from './request';

/** What a person is told of a failure. */
export interface IWords {
  message: string;
  hint?: string | null;
}

/** The words for any request that failed. */
export function wordsFor(error: ApiError, trans: TranslationBundle): IWords {
  return error.status === NO_ANSWER
    ? { message: trans.__('The Jupyter server does not answer.') }
    : { message: error.message, hint: error.hint };
}

/** The words for a list that could not be had. */
export function wordsForList(
  error: ApiError,
  trans: TranslationBundle
): IWords {
  // The list itself is never missing, so the whole extension is
  return error.status === 404
    ? {
        message: trans.__('The server has no extension jupyter_sessions.'),
        hint: trans.__(
          'Install jupyter_sessions where the Jupyter server runs, then restart it.'
        )
      }
    : wordsFor(error, trans);
}
