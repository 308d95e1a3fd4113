import type { TranslationBundle } from '@jupyterlab/translation';

import { type ApiError, NO_ANSWER } from './request';
import type { IAbout } from './types';

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

/** The words for a page and a server of different versions, null for the same; `page` is that of this page. */
export function wordsForVersions(
  page: string,
  about: IAbout | null,
  trans: TranslationBundle
): IWords | null {
  const { version, installed } = about ?? { version: page, installed: page };
  if (version === page && installed === version) {
    return null;
  }
  // Servers from before do not say what is installed
  return installed === version
    ? {
        message: trans.__(
          'This page is of version %1 of jupyter_sessions, and the Jupyter server of version %2.',
          page,
          version
        ),
        hint: trans.__('Reload the page to finish the upgrade.')
      }
    : {
        message: trans.__(
          'Version %1 of jupyter_sessions is installed, and the Jupyter server still runs version %2.',
          installed ?? page,
          version
        ),
        hint: trans.__('Restart Jupyter to finish the upgrade.')
      };
}
