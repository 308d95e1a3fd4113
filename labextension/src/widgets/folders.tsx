import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { fateOf, foldersOf } from '../form/choices';
import type { IFolder } from '../types';
import type { IFormProps } from './body';
import { FieldGroup } from './fields';

interface IFolderProps {
  folder: IFolder;
  trans: TranslationBundle;
  checked: boolean;
  disabled: boolean;
  isWrong?: boolean;
  onChange?: (isWanted: boolean) => void;
}

function Folder(props: IFolderProps): JSX.Element {
  const { folder, trans, checked, disabled, isWrong = false, onChange } = props;
  const notes = [
    folder.automatic && trans.__('always mounted'),
    folder.read_only && trans.__('read-only')
  ].filter(Boolean);
  return (
    <label className="jp-Sessions-folder">
      <input
        type="checkbox"
        name={folder.name}
        checked={checked}
        disabled={disabled}
        aria-invalid={isWrong}
        onChange={event => onChange?.(event.currentTarget.checked)}
      />
      <span>
        {`${folder.name} `}
        {notes.length > 0 && (
          <span className="jp-Sessions-folderNote">{notes.join(', ')}</span>
        )}
      </span>
    </label>
  );
}

/** The fields for folders to mount, and the folders that are always mounted. */
export function FolderFields({ form, trans }: IFormProps): JSX.Element | null {
  const { automatic, mountable } = foldersOf(form.backend);
  const error = form.errors.mounts;
  if (automatic.length + mountable.length === 0) {
    return null;
  }
  return (
    <FieldGroup name="mounts" label={trans.__('Folders')} error={error}>
      {mountable.map(folder => (
        <Folder
          key={folder.name}
          folder={folder}
          trans={trans}
          checked={form.values.folders.includes(folder.name)}
          disabled={form.isBusy}
          isWrong={!!error}
          onChange={isWanted => form.mount(folder.name, isWanted)}
        />
      ))}
      {automatic.map(folder => (
        <Folder
          key={folder.name}
          folder={folder}
          trans={trans}
          checked={true}
          disabled={true}
        />
      ))}
    </FieldGroup>
  );
}

/** Warns if files will be deleted with the session. */
export function StorageNote({ form, trans }: IFormProps): JSX.Element | null {
  const { storage, on_this_machine } = form.backend;
  if (!storage?.about || on_this_machine) {
    return null;
  }
  const fate = fateOf(form.backend, form.values.folders);
  if (fate === 'kept') {
    return <div className="jp-Sessions-storage">{storage.about}</div>;
  }
  return (
    <div className="jp-Sessions-caution" role="note">
      {fate === 'lost'
        ? trans.__(
            'No folder is mounted: this session’s files are deleted when it ends.'
          )
        : trans.__(
            'No folder is chosen: files outside those that are always mounted are deleted when the session ends.'
          )}
    </div>
  );
}
