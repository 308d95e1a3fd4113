import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { type ApiError, asApiError } from '../request';
import { wordsFor } from '../errormessages';
import type { ICommandEnv } from './env';

/** A question that the person must confirm. */
export interface IQuestion {
  title: string;
  body: string;
  yes: string;
  no?: string;
}

export async function confirm(
  { title, body, yes, no }: IQuestion,
  { trans }: ICommandEnv
): Promise<boolean> {
  const buttons = [
    Dialog.cancelButton({ label: no ?? trans.__('Cancel') }),
    Dialog.warnButton({ label: yes })
  ];
  const { button } = await showDialog({ title, body, buttons });
  return button.accept;
}

/** Run an action, and show the error if it fails. */
export async function attempt(
  headline: string,
  act: () => Promise<void>,
  { trans }: ICommandEnv
): Promise<void> {
  const refusal = await refusalOf(act);
  if (refusal) {
    tell(headline, refusal, trans);
  }
}

/** Run an action, and return its error, or null. */
export async function refusalOf(
  act: () => Promise<void>
): Promise<ApiError | null> {
  try {
    await act();
    return null;
  } catch (error) {
    return asApiError(error);
  }
}

/** Show why an action has failed. */
export function tell(
  headline: string,
  error: ApiError,
  trans: TranslationBundle
): void {
  const { message, hint } = wordsFor(error, trans);
  const words = [`${headline}:`, message, hint].filter(Boolean).join(' ');
  Notification.error(words, { autoClose: false });
}

/** The folder of the launcher, otherwise of the file browser. */
export function folderOf(
  { cwd }: ReadonlyPartialJSONObject,
  { browser }: ICommandEnv
): string {
  return typeof cwd === 'string' ? cwd : (browser?.model.path ?? '');
}
