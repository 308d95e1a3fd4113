import type { TranslationBundle } from '@jupyterlab/translation';

import { type ApiError, NO_ANSWER } from './request';
import type { IAbout } from './types';

/** The message about a failure, and what to do. */
export interface IWords {
  message: string;
  hint?: string | null;
}

/** The message for a failed request. */
export function wordsFor(error: ApiError, trans: TranslationBundle): IWords {
  return error.status === NO_ANSWER
    ? { message: trans.__('The Jupyter server does not answer.') }
    : { message: error.message, hint: error.hint };
}

/** The message for a list that could not be loaded; `upToDate` is the time of the list shown. */
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
  // The list always exists, so the whole extension is missing
  return error.status === 404
    ? {
        message: trans.__(
          'The Jupyter server has no extension jupyter_sessions.'
        ),
        hint: trans.__(
          'Install jupyter_sessions where the Jupyter server runs, then restart it.'
        )
      }
    : wordsFor(error, trans);
}

/** The message for a page and a server of different versions, null for the same; `page` is the page's version. */
export function wordsForVersions(
  page: string,
  about: IAbout | null,
  trans: TranslationBundle
): IWords | null {
  const { version, installed } = about ?? { version: page, installed: page };
  if (version === page && installed === version) {
    return null;
  }
  // Early servers do not tell the installed version
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
