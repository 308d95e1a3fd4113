import js from '@eslint/js';
import jupyter from '@jupyter/eslint-plugin';
import prettier from 'eslint-config-prettier';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const interfaceNames = {
  selector: 'interface',
  format: ['PascalCase'],
  custom: { regex: '^I[A-Z]', match: true }
};

export default tseslint.config(
  { ignores: ['node_modules', 'lib', 'build', '.yarn'] },
  js.configs.recommended,
  tseslint.configs.recommended,
  { plugins: { jupyter } },
  jupyter.configs.recommended,
  {
    files: ['src/**/*.{ts,tsx}', 'tests/**/*.ts'],
    languageOptions: {
      globals: globals.browser,
      parserOptions: { project: ['tsconfig.json', 'tsconfig.test.json'] }
    },
    rules: {
      '@typescript-eslint/naming-convention': ['error', interfaceNames],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-namespace': 'off',
      // All of the panel is smaller than one more request would cost
      'jupyter/prefer-lazy-imports': 'off',
      curly: ['error', 'all'],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'max-lines': ['error', 400],
      'prefer-arrow-callback': 'error'
    }
  },
  {
    // Generated: as long as the server's models are many
    files: ['src/types.ts'],
    rules: { 'max-lines': 'off' }
  },
  {
    // node:test's own functions answer promises that the runner awaits
    files: ['tests/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      'jupyter/no-untranslated-string': 'off'
    }
  },
  prettier
);
