import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { type ApiError, asApiError } from '../request';
import { wordsFor } from '../words';
import type { ICommandEnv } from './env';

/** Something a person is asked before it is done. */
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

/** Do a thing and tell the person when the server would not. */
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

/** Do a thing; why the server would not, null when it did. */
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

/** Tell the person why a thing could not be done. */
export function tell(
  headline: string,
  error: ApiError,
  trans: TranslationBundle
): void {
  const { message, hint } = wordsFor(error, trans);
  const words = [`${headline}:`, message, hint].filter(Boolean).join(' ');
  Notification.error(words, { autoClose: false });
}

/** The launcher's folder, else the file browser's. */
export function folderOf(
  { cwd }: ReadonlyPartialJSONObject,
  { browser }: ICommandEnv
): string {
  return typeof cwd === 'string' ? cwd : (browser?.model.path ?? '');
}
