import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

/** The props that connect a control with its label and notes. */
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

/** A label, its control, and notes and errors below. */
function FieldFrame(props: {
  name: string;
  label: React.ReactNode;
  note?: string;
  error?: string;
  children: React.ReactNode;
}): JSX.Element {
  const { name, label, note, error, children } = props;
  return (
    <div className="jp-Sessions-field" data-field={name}>
      {label}
      {children}
      <div
        id={noteId(name)}
        className={error ? 'jp-Sessions-fieldError' : 'jp-Sessions-fieldNote'}
        aria-live="polite"
      >
        {error || note}
      </div>
    </div>
  );
}

function fieldId(name: string): string {
  return `jp-Sessions-field-${name}`;
}

function noteId(name: string): string {
  return `${fieldId(name)}-note`;
}

/** A labelled control with its note or error below. */
export function Field(props: IFieldProps): JSX.Element {
  const { name, label, note, error, disabled = false, children } = props;
  const id = fieldId(name);
  const control = {
    id,
    name,
    disabled,
    'aria-invalid': !!error,
    'aria-describedby': error || note ? noteId(name) : undefined
  };
  return (
    <FieldFrame
      {...{ name, note, error }}
      label={<label htmlFor={id}>{label}</label>}
    >
      <div className="jp-Sessions-control">{children(control)}</div>
    </FieldFrame>
  );
}

/** Several controls under one label, with their error below. */
export function FieldGroup(props: {
  name: string;
  label: string;
  error?: string;
  children: React.ReactNode;
}): JSX.Element {
  const { name, label, error, children } = props;
  const labelId = `${fieldId(name)}-label`;
  return (
    <FieldFrame
      {...{ name, error }}
      label={
        <div id={labelId} className="jp-Sessions-groupLabel">
          {label}
        </div>
      }
    >
      <div
        className="jp-Sessions-fieldGroup"
        role="group"
        aria-labelledby={labelId}
        aria-describedby={error ? noteId(name) : undefined}
      >
        {children}
      </div>
    </FieldFrame>
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

/** An input for secrets, whose text is hidden. */
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
 * An input for numbers. It has no `min` or `max`, because the dialog would
 * disable its button without an explanation, and the form shows the error.
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
