"""What people declare: views, entities, features and services, and what follows from them."""
