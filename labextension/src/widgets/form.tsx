import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import { titleOf } from '../form/check';
import type { FormModel } from '../form/model';
import type { ISession } from '../types';
import { wordsFor } from '../words';
import { Field, Select, TextInput } from './fields';
import { ResourceFields } from './resources';

export interface IFormProps {
  form: FormModel;
  trans: TranslationBundle;
}

function BackendField({ form, trans }: IFormProps): JSX.Element | null {
  const { backends, backend, errors, isBusy } = form;
  if (backends.length < 2) {
    return null;
  }
  const options = backends.map(b => ({ value: b.name, label: titleOf(b) }));
  return (
    <Field
      name="backend"
      label={trans.__('Backend')}
      error={errors.backend || (backend.health?.message ?? '')}
      disabled={isBusy}
    >
      {control => (
        <Select
          control={control}
          options={options}
          value={backend.name}
          onChange={name => form.selectBackend(name)}
        />
      )}
    </Field>
  );
}

function ImageField({ form, trans }: IFormProps): JSX.Element {
  const { backend, errors, isBusy, values } = form;
  const { images = [], type } = backend;
  const options = images.map(({ name, title }) => ({
    value: name,
    label: title && title !== name ? `${title} – ${name}` : name
  }));
  const onChange = (image: string): void => form.set('image', { image });
  return (
    <Field
      name="image"
      label={type === 'local' ? trans.__('Environment') : trans.__('Image')}
      error={errors.image}
      disabled={isBusy}
    >
      {control => {
        const props = { control, value: values.image, onChange };
        return options.length > 0 ? (
          <Select {...props} options={options} />
        ) : (
          <TextInput {...props} />
        );
      }}
    </Field>
  );
}

function NameField({ form, trans }: IFormProps): JSX.Element {
  const { errors, isBusy, values } = form;
  return (
    <Field
      name="name"
      label={trans.__('Name')}
      error={errors.name}
      disabled={isBusy}
    >
      {control => (
        <TextInput
          control={control}
          placeholder={trans.__('Optional')}
          value={values.name}
          onChange={name => form.set('name', { name })}
        />
      )}
    </Field>
  );
}

function Refusal({ form, trans }: IFormProps): JSX.Element | null {
  if (!form.refusal) {
    return null;
  }
  const { message, hint } = wordsFor(form.refusal, trans);
  return (
    <div className="jp-Sessions-error" role="alert">
      <div>{message}</div>
      {hint && <div>{hint}</div>}
    </div>
  );
}

function Form(props: IFormProps): JSX.Element {
  return (
    <div className="jp-Sessions-form" aria-busy={props.form.isBusy}>
      <BackendField {...props} />
      <ImageField {...props} />
      <NameField {...props} />
      <ResourceFields {...props} />
      <Refusal {...props} />
    </div>
  );
}

/** The body of the dialog "New session". */
export class FormBody
  extends ReactWidget
  implements Dialog.IBodyWidget<ISession | null>
{
  constructor(private readonly _props: IFormProps) {
    super();
  }

  /** The session that was made, once there is one. */
  session: ISession | null = null;

  getValue(): ISession | null {
    return this.session;
  }

  protected override render(): JSX.Element {
    return (
      <UseSignal signal={this._props.form.changed}>
        {() => <Form {...this._props} />}
      </UseSignal>
    );
  }
}
