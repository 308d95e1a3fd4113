/** The version of this page, as in package.json. */
export const VERSION = '0.1.0';
