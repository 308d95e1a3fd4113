import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { SignInForm } from '../form/signin';
import type { IFieldsProps } from './body';
import { Field, SecretInput, Select, TextInput } from './fields';

type ISignInProps = IFieldsProps<SignInForm>;

/** Translate a label of the server; labels of other backends stay as they are. */
function words(label: string, trans: TranslationBundle): string {
  const known: Record<string, string> = {
    'Access key': trans.__('Access key'),
    Certificate: trans.__('Certificate'),
    Keypair: trans.__('Keypair'),
    Password: trans.__('Password'),
    'Path of the certificate, with its key': trans.__(
      'Path of the certificate, with its key'
    ),
    'Secret key': trans.__('Secret key'),
    Token: trans.__('Token'),
    'User name': trans.__('User name'),
    'User name and password': trans.__('User name and password')
  };
  return known[label] ?? label;
}

function MethodField({ form, trans }: ISignInProps): JSX.Element | null {
  const { methods, method, isBusy } = form;
  if (methods.length < 2) {
    return null;
  }
  const options = methods.map(({ name, label }) => ({
    value: name,
    label: words(label, trans)
  }));
  return (
    <Field name="method" label={trans.__('With')} disabled={isBusy}>
      {control => (
        <Select
          control={control}
          options={options}
          value={method.name}
          onChange={name => form.selectMethod(name)}
        />
      )}
    </Field>
  );
}

function Credentials({ form, trans }: ISignInProps): JSX.Element {
  const { method, errors, isBusy } = form;
  return (
    <>
      {method.fields.map(field => {
        const Input = field.secret ? SecretInput : TextInput;
        return (
          <Field
            key={`${method.name} ${field.name}`}
            name={field.name}
            label={words(field.label, trans)}
            error={errors[field.name]}
            disabled={isBusy}
          >
            {control => (
              <Input
                control={control}
                value={form.value(field)}
                onChange={value => form.set(field, value)}
              />
            )}
          </Field>
        );
      })}
    </>
  );
}

function Remember({ form, trans }: ISignInProps): JSX.Element {
  return (
    <label className="jp-Sessions-check">
      <input
        type="checkbox"
        name="remember"
        checked={form.remember}
        disabled={form.isBusy}
        onChange={event => form.setRemember(event.currentTarget.checked)}
      />
      <span>
        {trans.__('Remember on this machine')}
        <span className="jp-Sessions-checkNote">
          {trans.__(
            'In a file on the Jupyter server that only you can read. Otherwise until the server stops.'
          )}
        </span>
      </span>
    </label>
  );
}

/** The fields of the dialog "Sign in". */
export function SignInFields(props: ISignInProps): JSX.Element {
  return (
    <>
      <MethodField {...props} />
      <Credentials {...props} />
      <Remember {...props} />
    </>
  );
}
