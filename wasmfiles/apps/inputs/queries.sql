-- A database of orders on a file: schema, many rows, indices, joins, transactions, triggers, views, windows, VACUUM.
PRAGMA page_size = 4096;
PRAGMA cache_size = 40;
PRAGMA foreign_keys = ON;
SELECT sqlite_version() >= '3.50';
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, city TEXT NOT NULL);
CREATE TABLE item (id INTEGER PRIMARY KEY, title TEXT NOT NULL, price INTEGER NOT NULL CHECK (price > 0));
CREATE TABLE sale (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer, item INTEGER NOT NULL REFERENCES item,
    amount INTEGER NOT NULL, day INTEGER NOT NULL);
CREATE TABLE log (sale INTEGER, old INTEGER, new INTEGER);
CREATE TRIGGER changed AFTER UPDATE OF amount ON sale BEGIN INSERT INTO log VALUES (new.id, old.amount, new.amount); END;

BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
    INSERT INTO customer SELECT i, printf('customer %03d', i), substr('ParisOslo Rome Berne', 1 + (i * 7 % 4) * 5, 5) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)
    INSERT INTO item SELECT i, printf('item %s%d', char(97 + i % 26), i), 1 + i * i % 997 FROM n;
COMMIT;
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO sale SELECT i, 1 + i * 7919 % 200, 1 + i * 104729 % 150, 1 + i * i % 9, i / 7 FROM n;
COMMIT;
SELECT count(*), sum(amount), min(day), max(day) FROM sale;

CREATE INDEX sale_customer ON sale (customer, day);
CREATE INDEX sale_item ON sale (item) WHERE amount > 4;
ANALYZE;
EXPLAIN QUERY PLAN SELECT * FROM sale WHERE customer = 17 AND day > 100;

SELECT city, count(*), sum(amount * price) FROM sale JOIN customer ON customer.id = sale.customer
    JOIN item ON item.id = sale.item GROUP BY city ORDER BY 3 DESC;
SELECT title, sum(amount) AS many FROM sale JOIN item ON item.id = item WHERE amount > 4 GROUP BY item ORDER BY many DESC, title LIMIT 5;
SELECT name, (SELECT max(day) FROM sale WHERE customer = customer.id) FROM customer WHERE id % 97 = 5;
CREATE VIEW turnover AS SELECT day / 30 AS month, sum(amount * price) AS money FROM sale JOIN item ON item.id = item GROUP BY month;
SELECT month, money, sum(money) OVER (ORDER BY month), rank() OVER (ORDER BY money DESC) FROM turnover ORDER BY month;

BEGIN;
UPDATE sale SET amount = amount + 1 WHERE customer % 10 = 3;
SELECT count(*), sum(new - old) FROM log;
SAVEPOINT part;
DELETE FROM sale WHERE item < 20;
SELECT count(*) FROM sale;
ROLLBACK TO part;
SELECT count(*) FROM sale;
COMMIT;
BEGIN;
UPDATE sale SET amount = 0;
SELECT sum(amount) FROM sale;
ROLLBACK;
SELECT sum(amount) FROM sale;

INSERT INTO sale VALUES (9000, 1, 1, 1, 1) ON CONFLICT DO NOTHING;
INSERT INTO sale VALUES (9000, 1, 2, 5, 1) ON CONFLICT (id) DO UPDATE SET amount = excluded.amount + sale.amount RETURNING id, amount;
INSERT INTO customer VALUES (1000, 'customer 001', 'Paris');
INSERT INTO sale VALUES (9001, 12345, 1, 1, 1);
SELECT group_concat(title, ',' ORDER BY price DESC) FROM (SELECT * FROM item WHERE title GLOB 'item [xyz]*');
SELECT json_group_array(json_object('id', id, 'p', price)) FROM item WHERE id BETWEEN 3 AND 6;
SELECT round(avg(price), 4), round(sqrt(sum(price * price)), 3), typeof(1.5), hex(zeroblob(3)), upper('abc'), 7 / 2, 7.0 / 2 FROM item;

DELETE FROM sale WHERE day BETWEEN 100 AND 199;
PRAGMA page_count;
VACUUM;
PRAGMA page_count;
PRAGMA integrity_check;
SELECT count(*), sum(amount), total(day) FROM sale;
