"""The only SQLAlchemy: engine, tables, repositories, migrations."""
