import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { FormModel } from '../form/model';
import type { IForm } from '../form/refusal';
import type { ApiError } from '../request';
import { wordsFor } from '../errormessages';
import { ErrorBox } from './notes';

/** The props of a form and its fields. */
export interface IFieldsProps<F extends IForm<unknown>> {
  form: F;
  trans: TranslationBundle;
}

/** The props of the form of a session and its fields. */
export type IFormProps = IFieldsProps<FormModel>;

/** An error of the server that belongs to no field. */
function Refusal(props: {
  refusal: ApiError | null;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { refusal, trans } = props;
  if (!refusal) {
    return null;
  }
  return <ErrorBox {...wordsFor(refusal, trans)} />;
}

/** The body of a dialog with a form: its fields and errors. */
export class FormBody<F extends IForm<unknown>>
  extends ReactWidget
  implements Dialog.IBodyWidget<void>
{
  constructor(
    private readonly _fields: React.ComponentType<IFieldsProps<F>>,
    private readonly _props: IFieldsProps<F>
  ) {
    super();
  }

  protected override render(): JSX.Element {
    const { form, trans } = this._props;
    const Fields = this._fields;
    return (
      <UseSignal signal={form.changed}>
        {() => (
          <div className="jp-Sessions-form" aria-busy={form.isBusy}>
            <Fields {...this._props} />
            <Refusal refusal={form.refusal} trans={trans} />
          </div>
        )}
      </UseSignal>
    );
  }
}
