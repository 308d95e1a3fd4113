import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

/** What a control is given to be tied to its label and its notes. */
export interface IControlProps {
  id: string;
  name: string;
  disabled: boolean;
  'aria-label'?: string;
  'aria-invalid': boolean;
  'aria-describedby': string | undefined;
}

interface IFieldProps {
  name: string;
  label: string;
  note?: string;
  error?: string;
  disabled?: boolean;
  children: (control: IControlProps) => React.ReactNode;
}

/** A labelled control with what there is to say about it below. */
export function Field(props: IFieldProps): JSX.Element {
  const { name, label, note, error, disabled = false, children } = props;
  const id = `jp-Sessions-field-${name}`;
  const control = {
    id,
    name,
    disabled,
    'aria-invalid': !!error,
    'aria-describedby': error || note ? `${id}-note` : undefined
  };
  return (
    <div className="jp-Sessions-field" data-field={name}>
      <label htmlFor={id}>{label}</label>
      <div className="jp-Sessions-control">{children(control)}</div>
      <div
        id={`${id}-note`}
        className={error ? 'jp-Sessions-fieldError' : 'jp-Sessions-fieldNote'}
        aria-live="polite"
      >
        {error || note}
      </div>
    </div>
  );
}

/** Several controls under one label, with what is wrong about them below. */
export function FieldGroup(props: {
  name: string;
  label: string;
  error?: string;
  children: React.ReactNode;
}): JSX.Element {
  const { name, label, error, children } = props;
  const id = `jp-Sessions-field-${name}`;
  return (
    <div className="jp-Sessions-field" data-field={name}>
      <div id={`${id}-label`} className="jp-Sessions-groupLabel">
        {label}
      </div>
      <div
        className="jp-Sessions-group"
        role="group"
        aria-labelledby={`${id}-label`}
        aria-describedby={error ? `${id}-note` : undefined}
      >
        {children}
      </div>
      <div
        id={`${id}-note`}
        className="jp-Sessions-fieldError"
        aria-live="polite"
      >
        {error}
      </div>
    </div>
  );
}

interface ITextProps {
  control: IControlProps;
  value: string;
  placeholder?: string;
  onChange: (value: string) => void;
}

export function TextInput(props: ITextProps): JSX.Element {
  return <LineInput {...props} type="text" />;
}

/** Something that nobody looking on may read. */
export function SecretInput(props: ITextProps): JSX.Element {
  return <LineInput {...props} type="password" />;
}

function LineInput(
  props: ITextProps & { type: 'text' | 'password' }
): JSX.Element {
  const { control, value, placeholder, onChange, type } = props;
  return (
    <input
      {...control}
      type={type}
      className="jp-mod-styled"
      autoComplete="off"
      spellCheck={false}
      placeholder={placeholder}
      value={value}
      onChange={event => onChange(event.currentTarget.value)}
    />
  );
}

/**
 * A number that is not negative. It has no `min` or `max`: the dialog would
 * disable its button without a word where the form says what is wrong.
 */
export function NumberInput(props: ITextProps): JSX.Element {
  const { control, value, onChange } = props;
  return (
    <input
      {...control}
      type="number"
      step="any"
      className="jp-mod-styled"
      value={value}
      onChange={event => {
        const text = event.currentTarget.value;
        onChange(Number(text) < 0 ? '0' : text);
      }}
    />
  );
}

interface ISelectProps extends ITextProps {
  options: { value: string; label: string }[];
}

export function Select(props: ISelectProps): JSX.Element {
  const { control, value, options, onChange } = props;
  return (
    <HTMLSelect
      {...control}
      options={options}
      value={value}
      onChange={event => onChange(event.currentTarget.value)}
    />
  );
}
