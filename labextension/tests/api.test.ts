import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { serviceURL } from '../src/api';

describe('the address of a service', () => {
  const base = 'http://localhost/base/';

  it('is below that of the server, or its own', () => {
    assert.equal(serviceURL('a/b/', base), 'http://localhost/base/a/b/');
    assert.equal(serviceURL('https://else/', base), 'https://else/');
  });

  it('is none for a browser where it has another scheme or is not given', () => {
    assert.equal(serviceURL('javascript:alert(1)', base), null);
    assert.equal(serviceURL(undefined, base), null);
  });
});
