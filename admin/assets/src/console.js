// Everything that each page has: htmx, the shell (palette, theme, keys), rows (edit, select, drawer), forms (toast, drafts),
// passkeys (signing in, adding one, the proof before a dangerous act).
import './htmx.js';
import './forms.js';
import './passkeys.js';
import './rows.js';
import './shell.js';
