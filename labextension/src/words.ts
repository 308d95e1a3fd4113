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

/** The words for a list that could not be had; `upToDate` is the age of the one shown. */
export function wordsForList(
  error: ApiError,
  trans: TranslationBundle,
  upToDate: Date | null = null
): IWords {
  if (error.status === NO_ANSWER && upToDate) {
    const time = upToDate.toLocaleTimeString([], { timeStyle: 'medium' });
    return {
      message: trans.__('The Jupyter server does not answer.'),
      hint: trans.__('The list is as it was at %1.', time)
    };
  }
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
