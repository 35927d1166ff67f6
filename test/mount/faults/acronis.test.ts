import { matrixTests } from './tests.js';

matrixTests('acronis');
